// Compiles the tests and runs them with Node's own runner.
//
//   node scripts/test.mjs [FILE…]
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function run(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

rmSync(join(root, "build/test"), { recursive: true, force: true });
run(join(root, "node_modules/typescript/bin/tsc"), "--project", "test");
const wanted = process.argv.slice(2).map((name) => basename(name).replace(/\.test(\.m[tj]s)?$/, ""));
const files = readdirSync(join(root, "build/test"))
  .filter((name) => name.endsWith(".test.mjs"))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace(".test.mjs", "")));
run(
  "--expose-gc",
  "--test",
  "--test-timeout=120000",
  "--test-reporter=spec",
  ...files.map((name) => join("build/test", name)),
);
