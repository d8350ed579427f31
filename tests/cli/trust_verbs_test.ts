import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { createIdentity, CredentialFolder, openIdentity, saveKey } from "../../identity/mod.ts";
import { tempDir } from "../support/temp_dir.ts";
import { runInProcess } from "./cli_harness.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const other = createIdentity(new Uint8Array(32).fill(2));

/** A home with the key of `identity`, and the command line on it. */
async function openHome(identity = me, toml = "") {
  const dir = await tempDir();
  await saveKey(`${dir.path}/key`, identity);
  if (toml !== "") await Deno.writeTextFile(`${dir.path}/config.toml`, toml);
  const run = (argv: readonly string[], stdin = "") => runInProcess([...argv, "--home", dir.path], { stdin });
  const json = async (argv: readonly string[], stdin = "") => {
    const { code, stdout, stderr } = await run([...argv, "--json"], stdin);
    equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  return { path: dir.path, run, json, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

Deno.test("identity show tells all names of the node, and its document", async () => {
  await using home = await openHome(me, `identity.did_web = "did:web:me.example"`);
  const shown = await home.json(["identity", "show"]);
  deepEqual([shown.peerId, shown.didKey, shown.didWeb], [me.peerId, me.didKey, "did:web:me.example"]);
  const { stdout } = await home.run(["identity", "show", "--document"]);
  equal(JSON.parse(stdout).id, me.didKey);
  await using empty = await tempDir();
  const { code, stderr } = await runInProcess(["identity", "show", "--home", empty.path]);
  equal(code, 5);
  match(stderr, /no key yet/);
});

Deno.test("identity export and import move a key from home to home, in both formats", async () => {
  await using from = await openHome();
  for (const format of ["libp2p", "pem"]) {
    const file = `${from.path}/${format}.backup`;
    equal((await from.run(["identity", "export", file, "--format", format])).code, 0);
    equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    equal((await from.run(["identity", "export", file])).code, 7); // nothing is overwritten
    await using to = await tempDir();
    equal((await runInProcess(["identity", "import", file, "--home", to.path])).code, 0);
    equal((await openIdentity(`${to.path}/key`)).peerId, me.peerId);
  }
});

Deno.test("identity import replaces a key only when it is told to, and keeps the former one", async () => {
  await using home = await openHome();
  await using source = await openHome(other);
  equal((await home.run(["identity", "import", `${source.path}/key`])).code, 7);
  equal((await openIdentity(`${home.path}/key`)).peerId, me.peerId);
  const { kept } = await home.json(["identity", "import", `${source.path}/key`, "--replace"]);
  equal((await openIdentity(`${home.path}/key`)).peerId, other.peerId);
  equal((await openIdentity(kept)).peerId, me.peerId);
  await Deno.writeTextFile(
    `${home.path}/no.pem`,
    "-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n",
  );
  for (const [file, code] of [["no.pem", 2], ["config.toml", 5]] as const) {
    equal((await home.run(["identity", "import", `${home.path}/${file}`, "--replace"])).code, code);
  }
});

Deno.test("identity rotate makes a new key that the former one vouches for", async () => {
  await using home = await openHome();
  const { peerId, didKey, kept } = await home.json(["identity", "rotate"]);
  notEqual(peerId, me.peerId);
  equal((await openIdentity(`${home.path}/key`)).peerId, peerId);
  equal((await openIdentity(kept)).peerId, me.peerId);
  const [text] = await new CredentialFolder(home.path).held();
  await Deno.writeTextFile(`${home.path}/proof.json`, text!);
  const proof = await home.json(["credential", "verify", `${home.path}/proof.json`, "--subject", didKey]);
  deepEqual([proof.verdict, proof.issuer, proof.types], ["valid", me.didKey, ["AgentKeyRotationCredential"]]);
});

Deno.test("credential issue, verify, add, list and remove work together", async () => {
  await using issuer = await openHome();
  await using holder = await openHome(other);
  const file = `${issuer.path}/c.json`;
  const issued = await issuer.run([
    ...["credential", "issue", other.peerId, "--capability", "translate", "--capability", "sum"],
    ...["--claim", "tier=gold", "--expires", "90d", "-o", file],
  ]);
  equal(issued.code, 0, issued.stderr);
  match(issued.stderr, /cannot be revoked/);
  const document = JSON.parse(await Deno.readTextFile(file));
  deepEqual(document.credentialSubject, {
    ...{ id: other.didKey, type: "AgentCapability", tier: "gold", capabilities: ["translate", "sum"] },
  });
  const added = await holder.json(["credential", "add", file]);
  equal(added.verdict, "valid");
  const { held } = await holder.json(["credential", "list", "--check"]);
  deepEqual(held.map(({ id, verdict }: { id: string; verdict: string }) => [id, verdict]), [[
    document.id,
    "valid",
  ]]);
  const listed = await issuer.run(["credential", "list"]);
  ok(listed.stdout.includes(document.id), listed.stdout);
  equal((await issuer.run(["credential", "add", file])).code, 7); // it is about somebody else
  equal((await holder.run(["credential", "remove", document.id])).code, 0);
  equal((await holder.run(["credential", "remove", document.id])).code, 5);
});

Deno.test("credential verify fails for a forged, foreign or unreadable credential, and says why", async () => {
  await using home = await openHome();
  const { stdout } = await home.run(["credential", "issue", other.didKey]);
  const verify = (text: string, ...more: string[]) => home.run(["credential", "verify", "-", ...more], text);
  equal((await verify(stdout)).code, 0);
  const forged = await verify(stdout.replace('AgentCapability"', 'Everything"'));
  deepEqual([forged.code, /FORGED/.test(forged.stdout)], [1, true]);
  const foreign = await verify(stdout, "--subject", me.didKey);
  deepEqual([foreign.code, /WRONG SUBJECT/.test(foreign.stdout)], [1, true]);
  equal((await verify("{}")).code, 1);
});

Deno.test("credential revoke marks a credential, and tells where others find that out", async () => {
  await using home = await openHome(me, `identity.status_list_url = "https://me.example/status/1"`);
  const issued = await home.json(["credential", "issue", other.didKey]);
  const revoked = await home.json(["credential", "revoke", issued.id]);
  equal(revoked.listUrl, "https://me.example/status/1");
  match((await home.run(["credential", "list"])).stdout, new RegExp(`${issued.id} .* REVOKED`));
  equal((await home.run(["credential", "revoke", "urn:uuid:x"])).code, 5);
});

Deno.test("policy check explains what the rules say", async () => {
  await using home = await openHome(
    me,
    `
    [[policy.acl]]
    source = "http:*"
    skill = "open"
    allow = true
    [[policy.acl]]
    credential = { issuer = "${me.didKey}", capability = "translate" }
    allow = true
    [[policy.acl]]
    direction = "outbound"
    target = "https://partner.example/*"
    allow = true
  `,
  );
  const check = (...argv: string[]) => home.run(["policy", "check", ...argv]);
  match((await check("--from", "http:alice", "--skill", "open")).stdout, /^Allowed: rule 1 allows it/);
  const denied = await check("--from", "http:alice", "--skill", "closed");
  deepEqual([denied.code, /^Denied: no rule allows it \(inbound\)/.test(denied.stdout)], [6, true]);
  equal((await check("--from", other.peerId)).code, 6);
  const file = `${home.path}/c.json`;
  await home.run(["credential", "issue", other.didKey, "--capability", "translate", "-o", file]);
  match((await check("--from", other.peerId, "--credential", file)).stdout, /^Allowed: rule 2 allows it/);
  equal((await check("--from", me.peerId, "--credential", file)).code, 7); // it is about somebody else
  equal((await check("--to", "https://partner.example/a")).code, 0);
  equal((await check("--to", "https://other.example/a")).code, 6);
  equal((await check()).code, 2);
  equal((await home.run(["policy", "reload"])).code, 3); // no daemon runs
});
