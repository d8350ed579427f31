import { equal, match } from "node:assert/strict";
import { tempDir } from "../support/temp_dir.ts";
import { ProgramRun, runProgram } from "./cli_harness.ts";

Deno.test("config writes, checks and shows a configuration, and names each mistake with its line", async () => {
  await using dir = await tempDir();
  const home = ["--home", `${dir.path}/home`];
  const made = await runProgram(["config", "init", ...home]);
  equal(made.code, 0, made.stderr);
  const path = `${dir.path}/home/config.toml`;
  equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  match((await runProgram(["config", "init", ...home])).stderr, /it is there already/);
  equal((await runProgram(["config", "check", ...home])).code, 0);

  await Deno.writeTextFile(path, 'log_level = "warn"\n\n[tasks]\nkeep = "soon"\nkept = 1\n');
  const bad = await runProgram(["config", "check", ...home]);
  equal(bad.code, 2);
  match(bad.stderr, /config\.toml:4: tasks\.keep: must be a duration/);
  match(bad.stderr, /config\.toml:5: unknown key "tasks\.kept": did you mean "tasks\.keep"\?/);

  await Deno.writeTextFile(path, 'log_level = "warn"\n');
  const shown = await runProgram(["config", "show", "--changed", "--json", "--tasks-keep", "2d", ...home]);
  equal(shown.code, 0, shown.stderr);
  const values = JSON.parse(shown.stdout);
  equal(values.log_level.value, "warn");
  equal(values.log_level.origin, `${path}:1`);
  equal(values["tasks.keep"].value, "2d");
  equal(values["tasks.keep"].origin, "--tasks-keep");
});

Deno.test("logs level tells and changes how much a daemon logs", async () => {
  await using dir = await tempDir();
  const home = ["--home", dir.path];
  await using program = new ProgramRun(["daemon", ...home, "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"]);
  await program.stdoutLine(/^LISTEN_ADDR=/);
  equal((await runProgram(["logs", "level", ...home])).stdout, "info\n");
  const changed = await runProgram(["logs", "level", "debug", "--json", ...home]);
  equal(JSON.parse(changed.stdout).level, "debug");
  equal((await runProgram(["logs", "level", ...home])).stdout, "debug\n");
  equal((await runProgram(["logs", "level", "loud", ...home])).code, 2);
});
