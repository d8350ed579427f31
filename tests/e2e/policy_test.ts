import { deepEqual, equal, match } from "node:assert/strict";
import { createIdentity, type Identity, saveKey } from "../../identity/mod.ts";
import { ProgramRun, runProgram } from "../cli/cli_harness.ts";
import { tempDir } from "../support/temp_dir.ts";

const [agent, friend, stranger] = [1, 2, 3].map((n) => createIdentity(new Uint8Array(32).fill(n))) as [
  Identity,
  Identity,
  Identity,
];

Deno.test("a daemon takes tasks by its policy, reads it again on SIGHUP, and writes every decision down", async () => {
  await using dir = await tempDir();
  const homeOf = async (name: string, identity: Identity) => {
    await saveKey(`${dir.path}/${name}/key`, identity);
    return `${dir.path}/${name}`;
  };
  const home = await homeOf("agent", agent);
  const [friendly, strange] = [await homeOf("friend", friend), await homeOf("stranger", stranger)];
  const audit = `${home}/logs/audit.jsonl`;
  const rules = (...acl: string[]) =>
    Deno.writeTextFile(
      `${home}/config.toml`,
      `[policy]\naudit_log_path = "${audit}"\nacl = [${acl.join(",")}]\n`,
    );
  const byCredential = `{ credential = { issuer = "${agent.didKey}", capability = "echo" }, allow = true }`;
  await rules(byCredential);
  await using demo = new ProgramRun(["demo", "--home", home, "--log-output", "stderr"]);
  const [, address = ""] = await demo.stdoutLine(/^LISTEN_ADDR=(.+)$/);
  const send = (from: string) => runProgram(["send", address, "hi", "--home", from]);

  // Without the credential, and with one about somebody else.
  const refused = await send(friendly);
  deepEqual(
    [refused.code, /the policy of this node does not allow it/.test(refused.stderr)],
    [1, true],
    refused.stderr,
  );
  await Deno.writeTextFile(`${dir.path}/card.json`, JSON.stringify({ name: "F", skills: [] }));
  for (const one of [friendly, strange]) {
    equal((await runProgram(["card", "set", `${dir.path}/card.json`, "--home", one])).code, 0);
  }
  const file = `${dir.path}/credential.json`;
  const issued = await runProgram([
    ...["credential", "issue", friend.didKey, "--capability", "echo", "-o", file, "--home", home],
  ]);
  equal(issued.code, 0, issued.stderr);
  equal((await runProgram(["credential", "add", file, "--home", friendly])).code, 0);
  await Deno.mkdir(`${strange}/credentials/held`, { recursive: true });
  await Deno.copyFile(file, `${strange}/credentials/held/stolen.json`);
  const allowed = await send(friendly);
  equal(allowed.stdout, "Echo: hi\n", allowed.stderr);
  equal((await send(strange)).code, 1);

  // Other rules for the running daemon; bad ones change nothing.
  await rules(`{ source = "${stranger.didKey}", allow = true }`);
  demo.kill("SIGHUP");
  await demo.stderrLine(/Policy and credentials read again/);
  deepEqual([(await send(friendly)).code, (await send(strange)).code], [1, 0]);
  await rules("{ allow = maybe }");
  demo.kill("SIGHUP");
  await demo.stderrLine(/goes on as before/);
  equal((await send(strange)).code, 0);

  const lines = (await Deno.readTextFile(audit)).trim().split("\n").map((line) => JSON.parse(line));
  deepEqual(
    lines.map(({ source, decision }) => [source === friend.peerId ? "friend" : "stranger", decision]),
    [
      ["friend", "deny"],
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
