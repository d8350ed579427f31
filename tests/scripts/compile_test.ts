import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { buildExecutable } from "../../scripts/compile.ts";
import { type Bundle, bundleProgram, type Program, readProgram } from "../../scripts/compile/bundle.ts";
import { sha256File, writeChecksums } from "../../scripts/compile/checksums.ts";
import { compileOfficial } from "../../scripts/compile/official.ts";
import { packProgram, toTar } from "../../scripts/compile/pack.ts";
import { type Outcome, run } from "../../scripts/compile/process.ts";
import { smokeRun } from "../../scripts/compile/smoke.ts";
import { assetName, findTarget, targetOfExecutable, TARGETS } from "../../scripts/compile/targets.ts";

const NAME = "pack_app";
const VERSION = "7.8.9-fixture";
const fixture = new URL("../testdata/pack_app", import.meta.url).pathname;
const script = new URL("../../scripts/compile.ts", import.meta.url).pathname;
const host = findTarget(Deno.build.target)!;
const uid = Deno.uid();
const hasNamespaces = (await run(["unshare", "-rm", "true"])).code === 0;

let root: string;
let bundle: Bundle;
/** The packed fixture. */
let app: string;
/** A home in which it has been unpacked. */
let home: string;

Deno.test.beforeAll(async () => {
  root = await Deno.realPath(await Deno.makeTempDir());
  const program: Program = await readProgram(NAME, join(fixture, "deno.json"));
  bundle = await bundleProgram(program, join(root, "bundle"));
  app = join(await folder("bin"), NAME);
  home = await folder("home");
  await packProgram(bundle, { target: host, file: app, level: 1 });
  assert.equal((await launch([app, "version"])).stdout, `${NAME} ${VERSION}\n`);
});

Deno.test.afterAll(async () => {
  await Deno.remove(root, { recursive: true });
});

let folders = 0;
/** A new folder that only its owner can use. */
async function folder(name: string, mode = 0o700): Promise<string> {
  const path = join(root, `${name}-${folders++}`);
  await Deno.mkdir(path);
  await Deno.chmod(path, mode);
  return path;
}

type Env = Record<string, string>;

function environment(env: Env): Env {
  return { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", HOME: home, TMPDIR: root, ...env };
}

function launch(
  command: string[],
  { env = {}, cwd = root }: { env?: Env; cwd?: string } = {},
): Promise<Outcome> {
  return run(command, { cwd, env: environment(env) });
}

interface Report {
  version: string;
  args: string[];
  self: string;
  argv0: string;
  answer: number;
  env: Env;
}

/** What the fixture tells about itself; nothing else may be on its streams. */
async function report(command: string[], options: { env?: Env; cwd?: string } = {}): Promise<Report> {
  const outcome = await launch(command, options);
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.code, 0);
  return JSON.parse(outcome.stdout);
}

async function names(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir), (entry) => entry.name)).sort();
}

function refused(outcome: Outcome, reason: RegExp): void {
  assert.equal(outcome.code, 126);
  assert.equal(outcome.stdout, "");
  assert.match(outcome.stderr, reason);
}

Deno.test("TARGETS are the ones that deno compile knows", async () => {
  const { stderr } = await run([Deno.execPath(), "compile", "--target", "none", "x.ts"]);
  const known = stderr.match(/possible values: (.*)/)?.[1]?.split(", ") ?? [];
  assert.deepEqual(TARGETS.map((target) => target.triple).sort(), known.sort());
});

Deno.test("findTarget() finds a target by its name and by its triple", () => {
  for (const target of TARGETS) {
    assert.equal(findTarget(target.name), target);
    assert.equal(findTarget(target.triple), target);
  }
  assert.equal(findTarget("plan9-x64"), undefined);
});

Deno.test("assetName() names the platform and keeps .exe for Windows", () => {
  assert.deepEqual(TARGETS.map((target) => assetName("agentanycast", target)), [
    "agentanycast-linux-x64",
    "agentanycast-linux-arm64",
    "agentanycast-macos-x64",
    "agentanycast-macos-arm64",
    "agentanycast-windows-x64.exe",
    "agentanycast-windows-arm64.exe",
  ]);
});

Deno.test("targetOfExecutable() reads ELF, Mach-O and PE headers", () => {
  const file = (...words: [at: number, bytes: number[]][]) => {
    const head = new Uint8Array(1024);
    for (const [at, bytes] of words) head.set(bytes, at);
    return targetOfExecutable(head);
  };
  const elf: [number, number[]] = [0, [0x7f, 0x45, 0x4c, 0x46]];
  const mac: [number, number[]] = [0, [0xcf, 0xfa, 0xed, 0xfe]];
  const dos: [number, number[]] = [0, [0x4d, 0x5a]];
  const pe: [number, number[]] = [0x80, [0x50, 0x45, 0, 0]];
  assert.equal(file(elf, [18, [0x3e, 0]]), "linux-x64");
  assert.equal(file(elf, [18, [0xb7, 0]]), "linux-arm64");
  assert.equal(file(elf, [18, [0x03, 0]]), undefined);
  assert.equal(file(mac, [4, [7, 0, 0, 1]]), "macos-x64");
  assert.equal(file(mac, [4, [12, 0, 0, 1]]), "macos-arm64");
  assert.equal(file(dos, [0x3c, [0x80]], pe, [0x84, [0x64, 0x86]]), "windows-x64");
  assert.equal(file(dos, [0x3c, [0x80]], pe, [0x84, [0x64, 0xaa]]), "windows-arm64");
  assert.equal(file(dos, [0x3c, [0xff, 0xff, 0xff, 0xff]]), undefined);
  assert.equal(file([0, [0x23, 0x21]]), undefined);
  assert.equal(targetOfExecutable(new Uint8Array(8)), undefined);
});

Deno.test("toTar() makes an archive that tar unpacks to the same files", async () => {
  const dir = await folder("tar");
  const data = crypto.getRandomValues(new Uint8Array(1537));
  const longest = "n".repeat(100);
  const archive = toTar([{ name: "b/c.js", data }, { name: longest, data: new Uint8Array() }]);
  await Deno.writeFile(join(dir, "a.tar"), archive);
  const outcome = await run(["tar", "-xf", "a.tar"], { cwd: dir });
  assert.deepEqual(outcome, { code: 0, stdout: "", stderr: "" });
  assert.deepEqual(await Deno.readFile(join(dir, "b/c.js")), data);
  assert.equal((await Deno.stat(join(dir, longest))).size, 0);
});

Deno.test("toTar() gives the same bytes whatever the order of the files", () => {
  const one = { name: "1.js", data: new Uint8Array(512) };
  const two = { name: "2.js", data: new Uint8Array(3) };
  assert.deepEqual(toTar([one, two]), toTar([two, one]));
});

Deno.test("toTar() throws RangeError when a name does not fit", () => {
  assert.throws(() => toTar([{ name: "ü".repeat(51), data: new Uint8Array() }]), RangeError);
});

Deno.test("writeChecksums() lists the executables and nothing else, as sha256sum does", async () => {
  const dir = await folder("sums");
  for (const name of ["x-windows-x64.exe", "x", "x-linux-arm64", "x.txt", "y"]) {
    await Deno.writeTextFile(join(dir, name), name);
  }
  await writeChecksums("x", dir);
  const hex = (text: string) => createHash("sha256").update(text).digest("hex");
  assert.equal(
    await Deno.readTextFile(join(dir, "SHA256SUMS")),
    ["x", "x-linux-arm64", "x-windows-x64.exe"].map((name) => `${hex(name)}  ${name}\n`).join(""),
  );
  assert.equal((await names(dir)).length, 6);
});

Deno.test("bundleProgram() gives the same files in any folder", async () => {
  const again = await bundleProgram(bundle.program, join(root, "bundle-again"));
  assert.deepEqual(await names(again.dir), await names(bundle.dir));
  for (const name of await names(again.dir)) {
    assert.equal(await sha256File(join(again.dir, name)), await sha256File(join(bundle.dir, name)));
  }
});

Deno.test("bundleProgram() throws failed_precondition when a module is missing", async () => {
  const dir = await folder("broken");
  await Deno.writeTextFile(join(dir, "deno.json"), '{ "version": "1.0.0", "lock": false }');
  await Deno.writeTextFile(join(dir, "main.ts"), 'import "./missing.ts";');
  const program = await readProgram("broken", join(dir, "deno.json"));
  await assert.rejects(bundleProgram(program, join(dir, "out")), {
    code: "failed_precondition",
    message: /missing\.ts/,
  });
});

Deno.test("packProgram() throws failed_precondition for another platform", async () => {
  for (const target of TARGETS.filter((target) => target !== host)) {
    const packing = packProgram(bundle, { target, file: join(root, "foreign"), level: 1 });
    await assert.rejects(packing, { code: "failed_precondition", message: /--mode deno/ });
  }
});

Deno.test("compileOfficial() reports an executable for another platform", async () => {
  const target = TARGETS.find((target) => target.name.startsWith("windows-"))!;
  const env = { ...Deno.env.toObject(), DENO_DIR: await folder("deno-dir"), DENORT_BIN: Deno.execPath() };
  const proxy = { HTTPS_PROXY: "http://127.0.0.1:9", https_proxy: "http://127.0.0.1:9" }; // no download
  const reason = await compileOfficial(bundle, {
    target,
    file: join(root, "w.exe"),
    env: { ...env, ...proxy },
  });
  assert.match(reason ?? "", /deno compile failed/); // DENORT_BIN, which would do for the host, was not taken
});

Deno.test("smokeRun() accepts the version as a word only", async () => {
  assert.equal(await smokeRun(app, VERSION, { home }), undefined);
  assert.match(await smokeRun(app, "7.8.9", { home }) ?? "", /does not print 7\.8\.9 .*exit code 0/);
});

Deno.test("smokeRun() reports a program that fails, hangs or is missing", async () => {
  const dir = await folder("smoke");
  const program = async (name: string, text: string) => {
    await Deno.writeTextFile(join(dir, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return join(dir, name);
  };
  const fails = await program("fails", `echo ${VERSION}; echo reason >&2; exit 3`);
  assert.match(await smokeRun(fails, VERSION, { home: dir }) ?? "", /exit code 3: reason/);
  const hangs = await program("hangs", `echo ${VERSION}; exec sleep 600`);
  assert.match(await smokeRun(hangs, VERSION, { home: dir, timeoutMs: 1 }) ?? "", /exit code/);
  assert.match(await smokeRun(join(dir, "missing"), VERSION, { home: dir }) ?? "", /exit code 127/);
});

Deno.test("buildExecutable() detects a wrong DENORT_BIN: mode deno fails, mode auto packs", async () => {
  const work = await folder("work");
  const file = join(await folder("out"), NAME);
  const env = { ...Deno.env.toObject(), DENORT_BIN: Deno.execPath() };
  const options = { target: host, file, work, level: 1, env };
  await assert.rejects(buildExecutable(bundle, { ...options, mode: "deno" }), {
    code: "failed_precondition",
    message: /does not print 7\.8\.9-fixture/,
  });
  await assert.rejects(Deno.stat(file), Deno.errors.NotFound);

  const notes: string[] = [];
  const artifact = await buildExecutable(bundle, {
    ...options,
    mode: "auto",
    note: (line) => notes.push(line),
  });
  assert.equal(artifact.kind, "self-unpacking");
  assert.match(notes.join("\n"), /deno compile is not possible here.*does not print/);
  assert.equal(artifact.sha256, await sha256File(app)); // the same inputs give the same bytes
  assert.deepEqual(await names(dirname(file)), [NAME]);
});

Deno.test("compile.ts exits with 2 and a reason when it is called in a wrong way", async () => {
  const foreign = TARGETS.find((target) => target !== host)!.name;
  const wrong: [string[], RegExp][] = [
    [["--target", "plan9-x64"], /No target plan9-x64: choose one of linux-x64, /],
    [["--mode", "fast"], /No mode fast: choose one of auto, deno, pack/],
    [["--all", "--target", host.name], /not both/],
    [["--sign"], /--sign/],
    [["--mode", "pack", "--target", foreign], /only --mode deno makes executables for other platforms/],
    [["--mode", "pack", "--all"], /only --mode deno makes executables for other platforms/],
  ];
  for (const [args, reason] of wrong) {
    const outcome = await run([Deno.execPath(), "run", "-A", script, ...args], { cwd: root });
    assert.deepEqual([outcome.code, outcome.stdout], [2, ""]);
    assert.match(outcome.stderr, reason);
  }
});

Deno.test("launcher hands over arguments unchanged", async () => {
  const args = ["a b", "", "line\nbreak", "*", "$HOME `id` \"'\\", "--version", "-A", "--", "ü\t "];
  const { args: received, version, answer } = await report([app, ...args]);
  assert.deepEqual(received, args);
  assert.deepEqual([version, answer], [VERSION, 42]);
});

Deno.test("launcher tells the program its file and the name it was called by", async () => {
  const dir = await folder('it\'s a "dir"');
  await Deno.symlink(app, join(dir, "pack_appd"));
  await Deno.link(app, join(dir, "hard link"));
  const called = async (command: string[], options: { env?: Env; cwd?: string } = {}) => {
    const { self, argv0 } = await report(command, options);
    return [self, argv0];
  };
  assert.deepEqual(await called([app]), [app, NAME]);
  assert.deepEqual(await called([join(dir, "pack_appd")]), [join(dir, "pack_appd"), "pack_appd"]);
  assert.deepEqual(await called([join(dir, "hard link")]), [join(dir, "hard link"), "hard link"]);
  assert.deepEqual(await called(["sh", "-c", "./pack_appd"], { cwd: dir }), [
    join(dir, "pack_appd"),
    "pack_appd",
  ]);
  assert.deepEqual(await called(["sh", "pack_appd"], { cwd: dir }), [join(dir, "pack_appd"), "pack_appd"]);
  const env = {
    PATH: `${dirname(app)}:${Deno.env.get("PATH")}`,
    PACK_APP_SELF: "/elsewhere",
    PACK_APP_ARGV0: "x",
  };
  assert.deepEqual(await called(["sh", "-c", NAME], { env }), [app, NAME]);
});

Deno.test("launcher gives each runtime its own DENO_DIR and keeps the store on disk", async () => {
  const env = {
    DENO_DIR: "/the/users",
    DENO_KV_DB_MODE: "memory",
    DENO_KV_DEFAULT_PATH: "x",
    DENO_KV_PATH_PREFIX: "y",
  };
  const { env: seen } = await report([app], { env });
  assert.match(seen.DENO_DIR!, /\/\.cache\/pack_app\/app-[0-9a-f]{16}\/rt-[0-9a-f]{16}$/);
  assert.equal(seen.PACK_APP_DENO_DIR, "/the/users");
  assert.deepEqual(Object.keys(seen).filter((name) => name.startsWith("DENO_KV")), []);
  assert.equal((await launch([app, "store"], { env })).stdout, "value true\n");
});

Deno.test("launcher grants no native libraries", async () => {
  const outcome = await launch([app, "dlopen"]);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /Requires ffi access/);
});

Deno.test("launcher leaves stdin, stdout and the exit code to the program", async () => {
  const input = crypto.getRandomValues(new Uint8Array(65_536));
  const env = environment({ HOME: await folder("first-run") }); // unpacks, too
  await using child = new Deno.Command(app, {
    ...{ args: ["echo"], env, clearEnv: true, stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = child.stdin.getWriter();
  const [output] = await Promise.all([child.output(), writer.write(input).then(() => writer.close())]);
  assert.deepEqual(output.stdout, input);
  assert.equal(output.stderr.length, 0);
  assert.equal((await launch([app, "exit", "42"])).code, 42);
});

Deno.test("launcher becomes the program: same process id, its own signal handler", async () => {
  await using child = new Deno.Command(app, {
    ...{ args: ["wait"], env: environment({}), clearEnv: true, stdin: "null", stdout: "piped" },
  }).spawn();
  for await (const chunk of child.stdout) {
    assert.equal(new TextDecoder().decode(chunk), `${child.pid}\n`);
    child.kill("SIGTERM");
  }
  assert.equal((await child.status).code, 7);
});

Deno.test("launcher ignores broken configuration around the current folder and the cache", async () => {
  const dir = await folder("config");
  const files = ["deno.json", "deno.lock", "package.json", ".npmrc", "tsconfig.json"];
  for (const path of [dir, home]) {
    for (const file of files) await Deno.writeTextFile(join(path, file), '{"type": "commonjs", ');
  }
  await report([app], { cwd: dir });
  for (const path of [dir, home]) {
    await Deno.writeTextFile(join(path, "package.json"), '{"type": "commonjs"}');
  }
  await report([app], { cwd: dir });
  for (const file of files) await Deno.remove(join(home, file));
});

Deno.test("launcher unpacks once when eight first runs start together, into a private cache", async () => {
  const env = { HOME: "", XDG_CACHE_HOME: await folder("xdg") };
  const reports = await Promise.all(Array.from({ length: 8 }, () => report([app], { env })));
  assert.deepEqual(reports.map((report) => report.version), Array(8).fill(VERSION));
  const cache = join(env.XDG_CACHE_HOME, NAME);
  assert.equal((await Deno.stat(cache)).mode! & 0o777, 0o700);
  assert.match((await names(cache)).join(" "), /^app-[0-9a-f]{16} rt-[0-9a-f]{16}$/);
});

Deno.test("launcher starts afresh after kill -9 while it unpacks, and removes what is old", async () => {
  const cache = await folder("killed");
  const env = environment({ PACK_APP_CACHE_DIR: cache });
  const watcher = Deno.watchFs(cache);
  await using child = new Deno.Command(app, { env, clearEnv: true, detached: true, stdout: "null" }).spawn();
  for await (const event of watcher) {
    if (event.kind === "create") break;
  }
  Deno.kill(-child.pid, "SIGKILL");
  assert.equal((await child.status).signal, "SIGKILL");
  const [rest = ""] = await names(cache);
  assert.match(rest, /^\.new\./);
  await Deno.utime(join(cache, rest), 0, 0);
  await Deno.mkdir(join(cache, "app-old"));
  await Deno.writeTextFile(join(cache, "app-old", ".ok"), "");
  await Deno.utime(join(cache, "app-old", ".ok"), 0, 0);
  await report([app], { env: { PACK_APP_CACHE_DIR: cache } });
  assert.match((await names(cache)).join(" "), /^app-[0-9a-f]{16} rt-[0-9a-f]{16}$/);
});

Deno.test("launcher unpacks the program again when a cleaner has removed some of it", async () => {
  const dir = join(home, ".cache", NAME);
  const part = (await names(dir)).find((name) => name.startsWith("app-"))!;
  await Deno.remove(join(dir, part, ".ok"));
  await Deno.remove(join(dir, part, bundle.entry));
  await report([app]);
});

Deno.test("launcher refuses a truncated file and leaves nothing of it", async () => {
  const cache = await folder("truncated");
  const cut = join(await folder("bin"), NAME);
  await Deno.copyFile(app, cut);
  await Deno.truncate(cut, (await Deno.stat(app)).size - 1000);
  refused(await launch([cut], { env: { PACK_APP_CACHE_DIR: cache } }), /is damaged/);
  assert.deepEqual(await names(cache), []);
});

Deno.test("launcher goes to TMPDIR when the home is missing, unset or read-only", async () => {
  const env = { TMPDIR: await folder("tmp") };
  const readOnly = uid === 0 ? "/proc" : await folder("read-only", 0o500);
  for (const HOME of [join(root, "missing"), "", readOnly]) {
    const seen = await report([app], { env: { ...env, HOME } });
    assert.equal(dirname(dirname(seen.env.DENO_DIR!)), join(env.TMPDIR, `${NAME}-${uid}`));
  }
});

Deno.test({
  name: "launcher goes to TMPDIR when the home is mounted noexec",
  ignore: !hasNamespaces,
  fn: async () => {
    const HOME = await folder("noexec");
    const TMPDIR = await folder("tmp");
    const cache = join(TMPDIR, `${NAME}-0`); // in the namespace, everybody is root
    await run(["cp", "-al", join(home, ".cache", NAME), cache]);
    await Deno.remove(join(cache, (await names(cache))[0]!, ".ok"));
    const mounted = 'mount -t tmpfs -o noexec none "$HOME" && exec "$0"';
    const seen = await report(["unshare", "-rm", "sh", "-c", mounted, app], { env: { HOME, TMPDIR } });
    assert.equal(dirname(dirname(seen.env.DENO_DIR!)), cache);
  },
});

Deno.test("launcher refuses a directory in TMPDIR that others control", async () => {
  const HOME = "";
  const TMPDIR = await folder("hostile");
  const trap = await folder("trap");
  await Deno.symlink(trap, join(TMPDIR, `${NAME}-${uid}`));
  refused(await launch([app], { env: { HOME, TMPDIR } }), /is a link, another user's, or writable by others/);
  assert.deepEqual(await names(trap), []);
  refused(await launch([app], { env: { HOME, TMPDIR: await folder("open", 0o777) } }), /others could swap/);
});

Deno.test({
  name: "launcher refuses directories of another user",
  ignore: uid !== 0,
  fn: async () => {
    const TMPDIR = await folder("theirs");
    const theirs = join(TMPDIR, `${NAME}-${uid}`);
    await Deno.mkdir(theirs, { mode: 0o700 });
    await Deno.chown(theirs, 65534, 65534);
    refused(await launch([app], { env: { HOME: "", TMPDIR } }), /another user's/);
    const sticky = await folder("sticky", 0o1777);
    await Deno.chown(sticky, 65534, 65534);
    refused(await launch([app], { env: { HOME: "", TMPDIR: sticky } }), /others could swap/);
  },
});

Deno.test("launcher refuses a complete cache that others can write", async () => {
  const cache = join(home, ".cache", NAME);
  for (const mode of [0o770, 0o707, 0o777]) {
    await Deno.chmod(cache, mode);
    refused(await launch([app], { env: { PACK_APP_CACHE_DIR: cache } }), /writable by others/);
  }
  await Deno.chmod(cache, 0o700);
  await report([app], { env: { PACK_APP_CACHE_DIR: cache } });
});

Deno.test("launcher refuses a relative cache directory", async () => {
  refused(await launch([app], { env: { PACK_APP_CACHE_DIR: "cache" } }), /give an absolute path/);
});
