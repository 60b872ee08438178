// Makes the packages that npm takes: the main one, and one with the native part for this platform.
//
//   node scripts/pack.mjs FOLDER [--platforms linux-x64-gnu,darwin-arm64]
//
// The main package names the platform packages of the same version as optional dependencies, of which npm installs the
// one that fits; a release names all that were built.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { platform } from "./platform.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values: options, positionals } = parseArgs({
  options: { platforms: { type: "string", default: platform() } },
  allowPositionals: true,
});
const folder = resolve(positionals[0] ?? ".");
const {
  devDependencies: _,
  scripts: __,
  ...main
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const packageOf = (platform) => `${main.name}-${platform}`;

const stage = mkdtempSync(join(tmpdir(), "perper-pack-"));
try {
  mkdirSync(folder, { recursive: true });
  const put = (name, json, files) => {
    const place = join(stage, name);
    mkdirSync(place);
    writeFileSync(join(place, "package.json"), `${JSON.stringify(json, null, 2)}\n`);
    copyFileSync(join(dirname(root), "LICENSE"), join(place, "LICENSE"));
    for (const file of files) cpSync(join(root, file), join(place, file), { recursive: true });
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    execFileSync(npm, ["pack", "--silent", "--pack-destination", folder], { cwd: place, stdio: "inherit" });
  };

  const [os, cpu, abi] = platform().split("-");
  const addon = `perper.${platform()}.node`;
  const native = {
    name: packageOf(platform()),
    version: main.version,
    description: `The native part of ${main.name} for ${platform()}`,
    license: main.license,
    engines: main.engines,
    os: [os],
    cpu: [cpu],
    ...(os === "linux" && { libc: [abi === "gnu" ? "glibc" : "musl"] }),
    main: addon,
    files: [addon],
  };
  put("native", native, [addon]);
  const platforms = options.platforms.split(",").map((platform) => [packageOf(platform), main.version]);
  put("main", { ...main, optionalDependencies: Object.fromEntries(platforms) }, ["dist", "README.md"]);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
