// Builds the package in place: the native part from bindings/node, the JavaScript and its types from src.
//
//   node scripts/build.mjs [--profile NAME] [--no-native]
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { libraryName, platform } from "./platform.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values: options } = parseArgs({
  options: {
    profile: { type: "string", default: "dev" },
    "no-native": { type: "boolean", default: false },
  },
});

if (!options["no-native"]) {
  const { profile } = options;
  const cargo = ["--quiet", "--package", "perper-node", "--profile", profile];
  execFileSync("cargo", ["build", ...cargo], { cwd: dirname(root), stdio: "inherit" });
  const metadata = execFileSync("cargo", ["metadata", "--format-version", "1", "--no-deps"], {
    cwd: dirname(root),
  });
  const { target_directory: target } = JSON.parse(metadata.toString());
  const addon = join(root, `perper.${platform()}.node`);
  // Removed first: a process that has it open keeps the one it has.
  rmSync(addon, { force: true });
  copyFileSync(join(target, profile === "dev" ? "debug" : profile, libraryName("perper_node")), addon);
}

rmSync(join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc")], {
  cwd: root,
  stdio: "inherit",
});
// The ESM entry point hands on what the CommonJS one has: there is one copy of everything, however it is imported.
const entry = readFileSync(join(root, "dist/index.js"), "utf8");
const names = [...entry.matchAll(/Object\.defineProperty\(exports, "(\w+)", \{ enumerable/g)].map(
  ([, name]) => name,
);
writeFileSync(join(root, "dist/index.mjs"), `export {\n  ${names.join(",\n  ")},\n} from "./index.js";\n`);
writeFileSync(join(root, "dist/index.d.mts"), 'export * from "./index.js";\n');
