import { deepEqual, equal, match } from "node:assert/strict";
import { createIdentity, type Identity, saveKey } from "../../identity/mod.ts";
import { ProgramRun, runProgram } from "../cli/cli_harness.ts";
import { type TempDir, tempDir } from "../support/temp_dir.ts";

const [agent, friend, stranger] = [1, 2, 3].map((n) => createIdentity(new Uint8Array(32).fill(n))) as [
  Identity,
  Identity,
  Identity,
];

/** A demo agent whose daemon goes by `acl`, and the homes of two who send to it. */
async function startAgent(dir: TempDir, ...acl: string[]) {
  const homes = {
    agent: `${dir.path}/agent`,
    friend: `${dir.path}/friend`,
    stranger: `${dir.path}/stranger`,
  };
  await saveKey(`${homes.agent}/key`, agent);
  await saveKey(`${homes.friend}/key`, friend);
  await saveKey(`${homes.stranger}/key`, stranger);
  const audit = `${homes.agent}/logs/audit.jsonl`;
  const setRules = (...rules: string[]) =>
    Deno.writeTextFile(
      `${homes.agent}/config.toml`,
      `[policy]\naudit_log_path = "${audit}"\nacl = [${rules.join(",")}]\n`,
    );
  await setRules(...acl);
  const demo = new ProgramRun(["demo", "--home", homes.agent, "--log-output", "stderr"]);
  const [, address = ""] = await demo.stdoutLine(/^LISTEN_ADDR=(.+)$/);
  return {
    ...{ homes, demo, audit, setRules },
    send: (home: string) => runProgram(["send", address, "hi", "--home", home]),
    [Symbol.asyncDispose]: () => demo[Symbol.asyncDispose](),
  };
}

Deno.test("a daemon takes tasks only from those with a credential of their own", async () => {
  await using dir = await tempDir();
  const rule = `{ credential = { issuer = "${agent.didKey}", capability = "echo" }, allow = true }`;
  await using started = await startAgent(dir, rule);
  const { homes, send } = started;
  const refused = await send(homes.friend);
  deepEqual([refused.code, /does not allow it/.test(refused.stderr)], [1, true], refused.stderr);
  await Deno.writeTextFile(`${dir.path}/card.json`, JSON.stringify({ name: "F", skills: [] }));
  for (const home of [homes.friend, homes.stranger]) {
    equal((await runProgram(["card", "set", `${dir.path}/card.json`, "--home", home])).code, 0);
  }
  const file = `${dir.path}/credential.json`;
  const issued = await runProgram([
    ...["credential", "issue", friend.didKey, "--capability", "echo", "-o", file, "--home", homes.agent],
  ]);
  equal(issued.code, 0, issued.stderr);
  equal((await runProgram(["credential", "add", file, "--home", homes.friend])).code, 0);
  await Deno.mkdir(`${homes.stranger}/credentials/held`, { recursive: true });
  await Deno.copyFile(file, `${homes.stranger}/credentials/held/stolen.json`);
  const allowed = await send(homes.friend);
  equal(allowed.stdout, "Echo: hi\n", allowed.stderr);
  equal((await send(homes.stranger)).code, 1);
});

Deno.test("a daemon reads its policy again on SIGHUP, and writes every decision down", async () => {
  await using dir = await tempDir();
  await using started = await startAgent(dir, `{ source = "${friend.peerId}", allow = true }`);
  const { homes, demo, audit, setRules, send } = started;
  deepEqual([(await send(homes.friend)).code, (await send(homes.stranger)).code], [0, 1]);
  await setRules(`{ source = "${stranger.didKey}", allow = true }`);
  demo.kill("SIGHUP");
  await demo.stderrLine(/Policy and credentials read again/);
  deepEqual([(await send(homes.friend)).code, (await send(homes.stranger)).code], [1, 0]);
  await setRules("{ allow = maybe }");
  demo.kill("SIGHUP");
  await demo.stderrLine(/goes on as before/);
  equal((await send(homes.stranger)).code, 0);

  const lines = (await Deno.readTextFile(audit)).trim().split("\n").map((line) => JSON.parse(line));
  deepEqual(
    lines.map(({ source, decision }) => [source === friend.peerId ? "friend" : "stranger", decision]),
    [
      ["friend", "allow"],
      ["stranger", "deny"],
      ["friend", "deny"],
      ["stranger", "allow"],
      ["stranger", "allow"],
    ],
  );
  deepEqual([lines[0].wire, lines[0].target, lines[0].direction], ["libp2p", agent.peerId, "inbound"]);
  match(lines[0].address, /^\/ip[46]\//);
  equal((await Deno.stat(audit)).mode! & 0o777, 0o600);
});
