import { deepEqual, equal, match, ok } from "node:assert/strict";
import { daemonLogPath, MAX_STDERR_BYTES, openDaemonLog } from "../../core/daemon_log.ts";
import { type Config, resolveConfig } from "../../core/config.ts";
import { tempDir } from "../support/temp_dir.ts";

function configOf(home: string, flags: Record<string, string> = {}): Config {
  return resolveConfig({ flags: { home, ...flags }, env: {}, userHome: home, readFile: () => undefined });
}

async function logLines(home: string): Promise<string[]> {
  return (await Deno.readTextFile(daemonLogPath(home))).trimEnd().split("\n");
}

Deno.test("openDaemonLog() writes to stderr and file by default", async () => {
  await using home = await tempDir();
  const notes: string[] = [];
  using log = openDaemonLog(configOf(home.path), { note: (line) => notes.push(line) });
  log.logger.child({ room: "x" }).info("hello");
  log.logger.debug("too fine");
  equal(notes.length, 1);
  match(notes[0]!, /INFO {2}hello room=x$/);
  const withoutTime = (line: string) => line.slice(24);
  deepEqual((await logLines(home.path)).map(withoutTime), notes.map(withoutTime));
});

Deno.test("openDaemonLog() writes only where it is told to", async () => {
  await using home = await tempDir();
  const notes: string[] = [];
  const note = (line: string) => void notes.push(line);
  using toStderr = openDaemonLog(configOf(home.path, { "log-output": "stderr", "log-format": "json" }), {
    note,
  });
  toStderr.logger.info("hello");
  equal(JSON.parse(notes[0]!).msg, "hello");
  equal((await Array.fromAsync(Deno.readDir(home.path))).length, 0);
  using toFile = openDaemonLog(configOf(home.path, { "log-output": "file" }), { note });
  toFile.logger.info("to the file");
  equal(notes.length, 1);
  equal((await logLines(home.path)).length, 1);
});

Deno.test("openDaemonLog() keeps stderr small when quiet, and the file whole", async () => {
  await using home = await tempDir();
  let stderrBytes = 0;
  const notes: string[] = [];
  const note = (line: string) => {
    notes.push(line);
    stderrBytes += line.length + 1;
  };
  using log = openDaemonLog(configOf(home.path), { note, quiet: true });
  log.logger.info("only in the file");
  equal(notes.length, 0);
  for (let i = 0; i < 2_000; i++) log.logger.warn("x".repeat(100));
  ok(stderrBytes < MAX_STDERR_BYTES + 100, `${stderrBytes}`);
  match(notes.at(-1)!, /the rest is in the log file/);
  equal((await logLines(home.path)).length, 2_001);
});

Deno.test("openDaemonLog() leaves errors only on a quiet stderr when the level is error", async () => {
  await using home = await tempDir();
  const notes: string[] = [];
  const config = configOf(home.path, { "log-level": "error" });
  using log = openDaemonLog(config, { note: (line) => notes.push(line), quiet: true });
  log.logger.warn("no");
  log.logger.error("yes");
  equal(notes.length, 1);
});

Deno.test("openDaemonLog() tells once that the file cannot be written", async () => {
  await using home = await tempDir();
  await Deno.writeTextFile(`${home.path}/logs`, "in the way");
  const notes: string[] = [];
  using log = openDaemonLog(configOf(home.path), { note: (line) => notes.push(line) });
  log.logger.info("one");
  log.logger.info("two");
  equal(notes.filter((line) => line.startsWith("Cannot write the log file")).length, 1);
  equal(notes.length, 3);
});

Deno.test("openDaemonLog() writes by the level that holds at the moment, but little on a quiet stderr", async () => {
  await using home = await tempDir();
  const notes: string[] = [];
  using log = openDaemonLog(configOf(home.path), { note: (line) => notes.push(line), quiet: true });
  log.logger.debug("before");
  log.control.level = "debug";
  log.logger.child({ a: 1 }).debug("while");
  log.control.level = "error";
  log.logger.warn("after");
  const lines = await logLines(home.path);
  equal(lines.length, 1);
  match(lines[0]!, /DEBUG while a=1$/);
  equal(notes.length, 0);
});
