// The SDK's package for Node.js and Bun, installed from its tarball into an empty folder, on loopback alone.
import assert from "node:assert/strict";
import { join } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { buildNpmPackage, packNpmPackage } from "../../scripts/npm.ts";
import { daemonRelease } from "../../sdk/release/daemon_release.ts";
import { DaemonScript } from "../support/daemon_script.ts";
import { findRuntimes, installFromTarball, type NpmInstall } from "../support/npm_install.ts";
import { loopbackEnv, RunningProgram, runProgram } from "../support/program.ts";
import { OTHER_KEY } from "../support/release_site.ts";
import { tempDir } from "../support/temp_dir.ts";
import { checkTypes } from "../support/typescript_check.ts";

const runtimes = await findRuntimes();
for (const { name, missing } of runtimes) {
  if (missing !== undefined) console.warn(`Skipping the tests of the package under ${name}: ${missing}`);
}
const noNode = runtimes.some(({ name, missing }) => name === "Node.js" && missing !== undefined);
const ROOT = join(import.meta.dirname ?? ".", "..", "..");

const AGENT = `
import { Node } from "@agentanycast/sdk";
const node = new Node({ startTimeoutMs: 60_000, card: { name: "Echo", skills: [{ id: "echo" }] } });
node.onTask((task) => task.complete(\`Echo: \${task.text}\`), { skill: "echo" });
await node.start();
process.once("SIGTERM", () => void node.stop());
console.log(\`ADDRESS=\${(await node.info()).listenAddresses[0]}\`);
await node.serveForever();
console.log("SERVED=true");
`;
const CLIENT = `
import { Node } from "@agentanycast/sdk";
const node = new Node({ startTimeoutMs: 60_000 });
await node.start();
const { peerId } = await node.connectPeer(process.argv[2] ?? "");
const handle = await node.sendTask("Hallo", { peerId, targetSkill: "echo" });
const { artifacts } = await handle.wait({ timeoutMs: 30_000 });
console.log(artifacts[0]?.parts[0]?.text);
await node.stop();
`;
const USER = `
import { type IncomingTask, Node, TaskFailedError, type TaskHandle } from "@agentanycast/sdk";
import { processAgent, serveAgent } from "@agentanycast/sdk/adapters";
import { toA2aCard } from "@agentanycast/sdk/compat";
export async function use(node: Node): Promise<string> {
  const remove: () => void = node.onTask(async (task: IncomingTask) => await task.complete(task.text), { skill: "echo" });
  remove();
  const handle: TaskHandle = await node.sendTask("x", { peerId: node.peerId });
  for await (const { status, generation } of handle.events()) console.log(status, generation?.toFixed());
  try {
    return (await handle.wait({ timeoutMs: 3, signal: AbortSignal.timeout(1) })).artifacts[0]?.parts[0]?.text ?? "";
  } catch (error) {
    if (error instanceof TaskFailedError && error.code === "aborted") console.log(error.task.taskId.length);
    throw error;
  } finally {
    await node[Symbol.asyncDispose]();
  }
}
await using crew = processAgent({ command: "crew" });
await serveAgent(crew.run, { card: { name: "Crew", skills: [{ id: "plan" }] } });
console.log(toA2aCard({ name: "Crew", skills: [{ id: "plan" }] }));
// @ts-expect-error: there is no such option
new Node({ nonsense: 1 });
// @ts-expect-error: nothing of the inside is to be seen
import { DaemonClient } from "@agentanycast/sdk";
`;

let install: NpmInstall;
Deno.test.beforeAll(async () => {
  if (!noNode) install = await installFromTarball();
});
Deno.test.afterAll(async () => {
  if (!noNode) await install[Symbol.asyncDispose]();
});

const packageOf = ({ folder }: NpmInstall) => join(folder, "node_modules", "@agentanycast", "sdk");
const sha256 = async (path: string) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path))).toHex();

async function filesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    found.push(...isDirectory ? await filesIn(join(folder, name)) : [join(folder, name)]);
  }
  return found;
}

Deno.test({
  name: "deno task npm makes the same bytes from the same sources",
  ignore: noNode,
  fn: async () => {
    await using dir = await tempDir();
    await buildNpmPackage(join(dir.path, "again"));
    const tarball = await packNpmPackage(join(dir.path, "again"), dir.path);
    assert.equal(await sha256(tarball), await sha256(install.tarball));
  },
});

Deno.test({
  name:
    "The package has the version of the program it downloads, the exports and versions of deno.json, and no engine",
  ignore: noNode,
  fn: async () => {
    const folder = packageOf(install);
    const packed = JSON.parse(await Deno.readTextFile(join(folder, "package.json")));
    assert.deepEqual([packed.name, packed.version], [manifest.name, manifest.version]);
    assert.equal(packed.version, daemonRelease({ env: {}, releaseKey: OTHER_KEY }).version);
    for (const name of [".", "./adapters", "./compat"]) assert.ok(packed.exports[name], name);
    const imports: Record<string, string> = manifest.imports;
    for (const [name, range] of Object.entries(packed.dependencies)) {
      assert.equal(imports[name], `npm:${name}@${String(range).replace("^", "")}`);
    }
    const files = (await filesIn(folder)).map((path) => path.slice(folder.length + 1));
    const rooms = files.filter((path) => path.includes("/")).map((path) => path.split("/")[0]);
    assert.deepEqual([...new Set(rooms)].sort(), ["core", "gen", "identity", "rpc", "sdk"]);
    const isExpected = (path: string) => /\.(js|js\.map|d\.ts)$/.test(path) || !path.includes("/");
    assert.deepEqual(files.filter((path) => !isExpected(path)), []);
    assert.deepEqual(["LICENSE", "README.md"].filter((path) => !files.includes(path)), []);
    for (const path of files.filter((path) => path.endsWith(".map"))) {
      assert.doesNotMatch(await Deno.readTextFile(join(folder, path)), /file:\/\//, path); // says nothing of this machine
    }
  },
});

for (const moduleResolution of ["nodenext", "bundler"] as const) {
  Deno.test({
    name: `The package's types fit a strict program with moduleResolution ${moduleResolution}`,
    ignore: noNode,
    fn: async () => {
      const user = await install.program("user.ts", USER);
      assert.equal(checkTypes([user], { lib: ["lib.es2022.d.ts"], moduleResolution }), "");
    },
  });
}

Deno.test({
  name: "The package's sources use nothing that Node.js 20 does not have",
  ignore: noNode,
  fn: async () => {
    const inside = packageOf(install);
    const files = await filesIn(inside);
    const toSource = (js: string) => js.replace(inside, ROOT).replace(/\.js$/, ".ts");
    const programs = files.filter((path) => path.endsWith(".js") && !path.includes("/gen/"));
    const [sources, stubs] = [true, false].map((whole) =>
      programs.filter((path) => files.includes(`${path}.map`) === whole).map(toSource)
    );
    const globals = await install.program("deno.d.ts", "declare const Deno: any; type BlobPart = any;");
    // What the sources take of those that run on Deno only, as the testing kit does.
    const stub = await install.program(
      "stub.d.ts",
      "export type NodeParts = any; export const startEmbedded: any;",
    );
    const isForNode = (path: string) => !path.includes("/sdk/testing/");
    const found = checkTypes([...sources?.filter(isForNode) ?? [], globals], {
      lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts", "lib.es2024.string.d.ts"],
      moduleResolution: "bundler",
      packages: install.folder,
      replaced: new Map(stubs?.map((path) => [path, stub])),
    });
    assert.equal(found, "");
  },
});

for (const { name, command, missing } of runtimes) {
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({ name, ignore: noNode || missing !== undefined, fn });
  test(`Every export of the package can be imported in ${name}`, async () => {
    const { exports } = JSON.parse(await Deno.readTextFile(join(packageOf(install), "package.json")));
    const names = Object.keys(exports).filter((name) => !name.endsWith(".json"));
    const imports = names.map((one) => `await import("@agentanycast/sdk${one.slice(1)}")`);
    const program = await install.program(
      "imports.mjs",
      `for (const one of [${imports}]) if (Object.keys(one).length === 0) throw new Error("empty");`,
    );
    const { code, stdout, stderr } = await runProgram([command, program]);
    assert.deepEqual([code, stdout, stderr], [0, "", ""]);
  });

  test(`An agent and its client in ten lines exchange a task in ${name}`, async () => {
    await using dir = await tempDir();
    await using stack = new AsyncDisposableStack();
    const envOf = async (name: string) => {
      const folder = join(dir.path, name);
      await Deno.mkdir(folder);
      const daemon = stack.use(await DaemonScript.write(folder, "agentanycast"));
      daemon.watch();
      const env = { AGENTANYCAST_BINARY: daemon.path, AGENTANYCAST_ENABLE_MDNS: "false" };
      return { daemon, env: { ...loopbackEnv(join(folder, "home")), ...env } };
    };
    const [theirs, ours] = [await envOf("agent"), await envOf("client")];
    const [agentFile, clientFile] = [
      await install.program("agent.mjs", AGENT),
      await install.program("client.mjs", CLIENT),
    ];
    const agent = stack.use(new RunningProgram([command, agentFile], theirs.env));
    const sent = await runProgram([command, clientFile, await agent.value("ADDRESS")], { env: ours.env });
    assert.deepEqual([sent.code, sent.stdout, sent.stderr], [0, "Echo: Hallo\n", ""]);
    await ours.daemon.untilGone();
    const { code, stderr } = await agent.stop("SIGTERM");
    assert.deepEqual([code, stderr, agent.lines.at(-1)], [0, "", "SERVED=true"]);
    await theirs.daemon.untilGone();
  });
}
