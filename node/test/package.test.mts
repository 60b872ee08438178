import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Agent, embedded, type Embedded } from "perper";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../..", import.meta.url));
const tsc = join(root, "node/node_modules/typescript/bin/tsc");
const types = join(root, "node/node_modules/@types");

/** An empty folder, with nothing in it but the packages. */
const folder = mkdtempSync(join(tmpdir(), "perper-install-"));
let fabric: Embedded;

before(async () => {
  const packages = join(folder, "packages");
  await run(process.execPath, [join(root, "node/scripts/pack.mjs"), packages]);
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const tarballs = readdirSync(packages).map((name) => join(packages, name));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", ...tarballs], {
    cwd: folder,
  });
  fabric = await embedded();
});

after(async () => {
  await fabric.shutdown();
  rmSync(folder, { recursive: true, force: true });
});

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, PERPER_FABRIC_ENDPOINT: fabric.endpoint });

/** Runs a program of the folder to its end; gives what it printed. */
async function printed(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, args, {
    cwd: folder,
    env: environment(),
    timeout: 60_000,
  });
  assert.equal(stderr, "");
  return stdout;
}

/** Runs one in the background; gives what stops it. */
function start(...args: string[]): () => Promise<void> {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: environment(),
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = once(child, "exit");
  after(() => child.kill("SIGKILL"));
  return async () => {
    child.kill("SIGTERM");
    await exited;
  };
}

/** Blocks of a document that a comment names: programs, and what they print. */
function blocks(document: string): Map<string, string> {
  const text = readFileSync(join(root, document), "utf8");
  const found = text.matchAll(/<!-- ([\w.]+(?: prints)?) -->\n+```\w+\n(.*?)```/gs);
  return new Map(Array.from(found, ([, name = "", block = ""]) => [name, block]));
}

/** Compiles TypeScript as a user would, with what the packages bring and Node's own types. */
async function compile(...args: string[]): Promise<void> {
  const options = [
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "es2023,esnext.disposable",
    "--strict",
  ];
  const { stdout } = await run(
    process.execPath,
    [tsc, ...options, "--typeRoots", types, "--types", "node", ...args],
    {
      cwd: folder,
    },
  ).catch((error: unknown) => {
    throw new Error((error as { stdout: string }).stdout);
  });
  assert.equal(stdout, "");
}

test("the packages hold what they should, and nothing else", () => {
  const installed = join(folder, "node_modules");
  const names = readdirSync(installed).filter((name) => !name.startsWith("."));
  assert.deepEqual([names.length, names[0]], [2, "perper"]);
  assert.deepEqual(readdirSync(join(installed, "perper")).sort(), [
    "LICENSE",
    "README.md",
    "dist",
    "package.json",
  ]);
  assert.ok(readdirSync(join(installed, names[1] ?? "")).some((name) => name.endsWith(".node")));
});

test("the tutorial: every program prints what it says", { timeout: 110_000 }, async (t) => {
  const tutorial = blocks("docs/node.md");
  const programs = [...tutorial.keys()].filter((name) => !name.endsWith(" prints"));
  for (const name of programs) writeFileSync(join(folder, name), tutorial.get(name) ?? "");
  await compile(...programs.filter((name) => name.endsWith(".mts")));
  const stop: (() => Promise<void>)[] = [];
  for (const name of programs) {
    const script = name.replace(".mts", ".mjs");
    const expected = tutorial.get(`${name} prints`);
    if (expected === undefined) stop.push(start(script));
    else await t.test(name, async () => assert.equal(await printed(script), expected));
  }
  for (const over of stop) await over();
});

test("the examples print what they should", { timeout: 110_000 }, async (t) => {
  const examples = join(folder, "examples");
  cpSync(join(root, "examples/node"), examples, {
    recursive: true,
    filter: (source) => !/node_modules|build/.test(source.slice(root.length)),
  });
  await compile("-p", "examples");

  await t.test("hello", async () => {
    const stop = start("examples/hello.mjs", "greeter");
    assert.equal(await printed("examples/hello.mjs", "printer", "Perper"), "Hello, Perper!\n");
    await stop();
  });

  await t.test("basic", async () => {
    assert.equal(
      await printed("examples/build/basic.js"),
      `2 + 3 = 5
17 / 5 = 3, remainder 2
1 / 0: 1 cannot be divided by zero
found stream and undefined
ticked 0, 1, 2, the state says 3
25 numbers in batches sum up to 300
ping 0, 2, 4, 6, pong 1, 3, 5
`,
    );
  });

  await t.test("wordcount", async () => {
    const licences = ["GPL-3", "Artistic"].map((name) => `/usr/share/common-licenses/${name}`);
    const files = ["LICENSE", "docs/concepts.md", "docs/protocol.md"].map((name) => join(root, name));
    files.push(...licences.filter((name) => existsSync(name)));
    const script =
      "cat \"$@\" | tr -cs '[:alpha:]' '\\n' | tr '[:upper:]' '[:lower:]' | sort | uniq -c | sort -k1,1nr -k2 | head -20";
    const { stdout: expected } = await run("sh", ["-c", script, "sh", ...files], {
      env: { ...process.env, LC_ALL: "C" },
    });
    const lines = (text: string): string[] =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => line.trim());
    assert.deepEqual(lines(await printed("examples/build/wordcount/main.js", ...files)), lines(expected));
  });
});

test("npx perper is the command line that all packages share", async () => {
  const npx = async (...args: string[]): Promise<string> => {
    const options = { cwd: folder, env: environment(), timeout: 60_000 };
    return (await run("npx", ["--no-install", "perper", ...args], options)).stdout;
  };
  const agent = await new Agent("Shop")
    .delegate("Add", (a: number, b: number) => a + b)
    .start({
      endpoint: fabric.endpoint,
    });
  assert.equal(await npx("call", "Shop", "Add", "2", "3"), "5\n");
  assert.match(await npx("ps"), /Shop/);
  await agent.stop();
  await assert.rejects(npx("nonsense"), { code: 2 });
});
