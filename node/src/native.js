"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.native = void 0;
/**
 * The native half: the core in Rust, as bindings/node exports it. Nothing here is public.
 */
const node_module_1 = require("node:module");
/** `linux-x64-gnu` and the like: what platform packages are named after. */
function platform() {
  const { platform, arch } = process;
  if (platform === "linux") {
    const report = process.report?.getReport();
    return `linux-${arch}-${report?.header?.glibcVersionRuntime === undefined ? "musl" : "gnu"}`;
  }
  return platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}
function load() {
  const name = platform();
  const require = (0, node_module_1.createRequire)(__filename);
  const tried = [];
  // Beside the sources in a checkout, in a package of its own where it was installed.
  for (const place of [`../perper.${name}.node`, `perper-${name}`]) {
    try {
      return require(place);
    } catch (error) {
      tried.push(error);
    }
  }
  throw new Error(
    `the native part of perper for ${name} is not here: install the package perper-${name} of the same version ` +
      "(npm leaves it out under --omit=optional)",
    { cause: new AggregateError(tried) },
  );
}
exports.native = load();
