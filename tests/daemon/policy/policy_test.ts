import { deepEqual, equal, match, throws } from "node:assert/strict";
import type { TaskRequest } from "../../../a2a/mod.ts";
import { resolveConfig } from "../../../core/config.ts";
import { silentLogger } from "../../../core/log.ts";
import { basicParty, type Party, Policy } from "../../../daemon/policy/mod.ts";
import { fitsPattern } from "../../../daemon/policy/pattern.ts";
import { createIdentity, issueCredential, parseCredential } from "../../../identity/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { tempDir } from "../../support/temp_dir.ts";

const friend = createIdentity(new Uint8Array(32).fill(1));
const stranger = createIdentity(new Uint8Array(32).fill(2));
const issuer = createIdentity(new Uint8Array(32).fill(3));

function configOf(toml: string) {
  return resolveConfig({ flags: { home: "/h" }, env: {}, userHome: "/h", readFile: () => toml }).policy;
}

function capability(name: string): Party["credentials"][number] {
  const claims = { capabilities: [name] };
  const wanted = { subject: friend.didKey, type: "AgentCapabilityCredential", claims, validFromMs: 0 };
  return parseCredential(JSON.stringify(issueCredential(wanted, { identity: issuer })));
}

/** A policy by `toml`, with what is proven of its peers. */
function startPolicy(toml: string, proven: Readonly<Record<string, Partial<Party>>> = {}) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const policy = new Policy(configOf(toml), {
    peerId: "self",
    addressOf: (peerId) => peerId === friend.peerId ? "/ip4/192.0.2.1/tcp/1" : undefined,
    provenParty: (peerId) => {
      asked.push(peerId);
      const party = basicParty(peerId);
      const { names = [], ...rest } = proven[peerId] ?? {};
      return Promise.resolve({ ...party, ...rest, names: [...party.names, ...names] });
    },
    logger: silentLogger,
    clock,
  });
  const receive = async (peerId: string, skillId = "", more: Partial<TaskRequest> = {}) =>
    (await policy.admit({ peerId, skillId, taskId: "t", isNew: true, openTasks: 0, ...more }))?.code ?? "ok";
  const send = async (
    caller: string,
    peerId: string,
    options: { skillId?: string; isChoice?: boolean; openTasks?: number } = {},
  ) =>
    (await policy.admitSend({
      caller,
      peerId,
      taskId: "t",
      skillId: "",
      openTasks: 0,
      isChoice: false,
      ...options,
    }))
      ?.code ?? "ok";
  return { policy, clock, asked, receive, send };
}

Deno.test("admit() lets everybody in without rules, and nobody in that no rule lets in", async () => {
  equal(await startPolicy("").receive(stranger.peerId), "ok");
  const { receive } = startPolicy(`
    [[policy.acl]]
    source = "${stranger.peerId}"
    allow = false
    [[policy.acl]]
    source = "${friend.didKey}"
    skill = "translate*"
    allow = true
  `);
  equal(await receive(friend.peerId, "translate-de"), "ok");
  equal(await receive(friend.peerId, "other"), "permission_denied");
  equal(await receive(friend.peerId), "permission_denied");
  equal(await receive(stranger.peerId, "translate"), "permission_denied");
  equal(await receive("http:alice", "translate"), "permission_denied");
});

Deno.test("admit() judges by the first rule that fits", async () => {
  const { receive } = startPolicy(`
    policy.acl = [
      { source = "http:alice", skill = "secret", allow = false },
      { source = "http:*", allow = true },
      { source = "anp:did:wba:example.com:*", allow = true },
    ]
  `);
  equal(await receive("http:alice", "secret"), "permission_denied");
  equal(await receive("http:alice", "open"), "ok");
  equal(await receive("http:bob", "secret"), "ok");
  equal(await receive("anp:did:wba:example.com:u:e1_x"), "ok");
  equal(await receive("mcp:bob"), "permission_denied");
});

Deno.test("admit() knows peers by DIDs that were proven, and asks for proofs only when a rule needs them", async () => {
  const proven = { [friend.peerId]: { names: ["did:web:friend.example"] } };
  const byWeb = startPolicy(`policy.acl = [{ source = "did:web:friend.example", allow = true }]`, proven);
  equal(await byWeb.receive(friend.peerId), "ok");
  equal(await byWeb.receive(stranger.peerId), "permission_denied");
  deepEqual(byWeb.asked, [friend.peerId, stranger.peerId]);
  const byKey = startPolicy(`policy.acl = [{ source = "did:key:*", allow = true }]`, proven);
  equal(await byKey.receive(friend.peerId), "ok");
  deepEqual(byKey.asked, []);
  const byAny = startPolicy(`policy.acl = [{ source = "*friend.example", allow = true }]`, proven);
  equal(await byAny.receive(friend.peerId), "ok");
});

Deno.test("admit() asks for a credential with the right issuer, type and capability", async () => {
  const rule = (more: string) =>
    `policy.acl = [{ credential = { issuer = "${issuer.didKey}", ${more} }, allow = true }]`;
  const proven = { [friend.peerId]: { credentials: [capability("translate")] } };
  const capable = startPolicy(rule(`type = "AgentCapability*", capability = "translate"`), proven);
  equal(await capable.receive(friend.peerId), "ok");
  equal(await capable.receive(stranger.peerId), "permission_denied");
  equal(await capable.receive("http:alice"), "permission_denied");
  equal(await startPolicy(rule(`capability = "paint"`), proven).receive(friend.peerId), "permission_denied");
  equal(await startPolicy(rule(`type = "Other"`), proven).receive(friend.peerId), "permission_denied");
  const byOther = `policy.acl = [{ credential = { issuer = "${stranger.didKey}" }, allow = true }]`;
  equal(await startPolicy(byOther, proven).receive(friend.peerId), "permission_denied");
});

Deno.test("admitSend() judges targets by rules for what goes out, and leaves those for what comes in alone", async () => {
  const inbound = startPolicy(`policy.acl = [{ source = "http:alice", allow = true }]`);
  equal(await inbound.send("grpc:local", stranger.peerId), "ok");
  const { send, receive } = startPolicy(`
    policy.acl = [
      { direction = "outbound", target = "https://partner.example/*", allow = true },
      { direction = "outbound", source = "grpc:local", target = "${friend.didKey}", skill = "s", allow = true },
    ]
  `);
  equal(await send("http:alice", "https://partner.example/a2a/x"), "ok");
  equal(await send("http:alice", "https://other.example/"), "permission_denied");
  equal(await send("grpc:local", friend.peerId, { skillId: "s" }), "ok");
  equal(await send("grpc:local", friend.peerId), "permission_denied");
  equal(await send("http:alice", friend.peerId, { skillId: "s" }), "permission_denied");
  equal(await receive(stranger.peerId), "ok");
});

Deno.test("admitSend() lets no caller through this node that the node itself would not take a task from", async () => {
  const { send } = startPolicy(`policy.acl = [{ source = "http:alice", skill = "open", allow = true }]`);
  equal(await send("http:alice", friend.peerId, { skillId: "open" }), "ok");
  equal(await send("http:alice", friend.peerId, { skillId: "closed" }), "permission_denied");
  for (const caller of ["http:anonymous", "mcp:x", "anp:y"]) {
    equal(await send(caller, friend.peerId, { skillId: "open" }), "permission_denied");
    equal(await send(caller, "", { skillId: "open" }), "permission_denied");
  }
  equal(await send("grpc:local", friend.peerId), "ok");
});

Deno.test("admitSend() judges a task for a skill when its agent is chosen, and counts it once", async () => {
  const { send } = startPolicy(`
    [policy.rate_limit]
    default_rps = 1
    [[policy.acl]]
    direction = "outbound"
    target = "${friend.peerId}"
    allow = true
  `);
  equal(await send("grpc:local", "", { skillId: "s" }), "ok");
  equal(await send("grpc:local", friend.peerId, { skillId: "s", isChoice: true }), "ok");
  equal(await send("grpc:local", stranger.peerId, { skillId: "s", isChoice: true }), "permission_denied");
  equal(await send("grpc:local", "", { skillId: "s" }), "resource_exhausted");
});

Deno.test("admit() limits how fast each one sends, on every wire alike", async () => {
  const { clock, receive, send } = startPolicy(`
    [policy.rate_limit]
    default_rps = 2
    burst = 3
    overrides = [{ source = "http:vip*", rps = 100 }, { source = "${friend.didKey}", rps = 0 }]
  `);
  for (const id of [stranger.peerId, "http:alice", "anp:bob", "mcp:carol"]) {
    for (let i = 0; i < 3; i++) equal(await receive(id), "ok", id);
    equal(await receive(id), "resource_exhausted", id);
    equal(await receive(id, "", { isNew: false }), "resource_exhausted", id);
  }
  for (let i = 0; i < 3; i++) equal(await send("grpc:local", stranger.peerId), "ok");
  equal(await send("grpc:local", stranger.peerId), "resource_exhausted");
  for (let i = 0; i < 50; i++) equal(await receive("http:vip1"), "ok");
  for (let i = 0; i < 50; i++) equal(await receive(friend.peerId), "ok");
  clock.advance(500);
  equal(await receive("http:alice"), "ok");
  equal(await receive("http:alice"), "resource_exhausted");
  clock.advance(3_600_000);
  for (let i = 0; i < 3; i++) equal(await receive("http:alice"), "ok");
  equal(await receive("http:alice"), "resource_exhausted");
});

Deno.test("admit() tells when one may try again", async () => {
  const { policy } = startPolicy("policy.rate_limit.default_rps = 0.1");
  const request = { peerId: "http:a", skillId: "", taskId: "t", isNew: true, openTasks: 0 };
  await policy.admit(request);
  deepEqual(await policy.admit(request), {
    code: "resource_exhausted",
    reason: "too many tasks: try again in 10 s",
  });
});

Deno.test("admit() limits all together, however many names they have", async () => {
  const { receive } = startPolicy("policy.rate_limit.total_rps = 5");
  const answers = [];
  for (let i = 0; i < 20; i++) answers.push(await receive(`http:${i}`));
  equal(answers.filter((one) => one === "ok").length, 5);
});

Deno.test("admit() limits unfinished tasks, but not messages of those that are taken", async () => {
  const { receive, send } = startPolicy("policy.rate_limit.max_tasks = 2");
  equal(await send("http:a", friend.peerId, { openTasks: 1 }), "ok");
  equal(await send("http:a", friend.peerId, { openTasks: 2 }), "resource_exhausted");
  equal(await receive("http:a", "", { openTasks: 1 }), "ok");
  equal(await receive("http:a", "", { openTasks: 2 }), "resource_exhausted");
  equal(await receive("http:a", "", { openTasks: 2, isNew: false }), "ok");
});

Deno.test("reload() goes on by other rules", async () => {
  const { policy, receive } = startPolicy("");
  equal(await receive("http:a"), "ok");
  policy.reload(configOf(`policy.acl = [{ source = "http:b", allow = true }]`));
  deepEqual([await receive("http:a"), await receive("http:b")], ["permission_denied", "ok"]);
});

Deno.test("admit() tells strangers nothing of the rules, and the own user which one it was", async () => {
  const { policy } = startPolicy(`
    policy.acl = [
      { source = "http:secret-partner", allow = true },
      { direction = "outbound", target = "*", skill = "x", allow = false },
    ]
  `);
  const denied = await policy.admit({
    peerId: stranger.peerId,
    skillId: "",
    taskId: "t",
    isNew: true,
    openTasks: 0,
  });
  equal(denied?.reason, "the policy of this node does not allow it");
  const own = await policy.admitSend({
    ...{
      caller: "grpc:local",
      peerId: friend.peerId,
      taskId: "t",
      skillId: "x",
      openTasks: 0,
      isChoice: false,
    },
  });
  match(own?.reason ?? "", /rule 2 denies it \(outbound, source \*, target \*, skill x\)/);
});

Deno.test("every decision is in the audit log, for its user alone, and nobody can forge a line", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/logs/audit.jsonl`;
  const { policy, receive, send } = startPolicy(`
    policy.audit_log_path = "${path}"
    policy.rate_limit = { default_rps = 1 }
    policy.acl = [{ direction = "both", source = "http:*", allow = false }, { direction = "both", allow = true }]
  `);
  const forged = 'x"}\n{"decision":"allow"}\u009b31m\u2028';
  await receive(friend.peerId, "translate");
  await receive(friend.peerId, "translate");
  await receive("http:alice", forged);
  await send("grpc:local", "https://a.example/", { skillId: "y".repeat(5_000) });
  policy[Symbol.dispose]();
  const text = await Deno.readTextFile(path);
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  const [first] = lines;
  deepEqual(first, {
    ...{
      time: "2023-11-14T22:13:20.000Z",
      direction: "inbound",
      wire: "libp2p",
      address: "/ip4/192.0.2.1/tcp/1",
    },
    ...{ source: friend.peerId, target: "self", skill: "translate", task: "t", decision: "allow", rule: 2 },
    reason: "rule 2 allows it (both, source *, skill *)",
  });
  deepEqual(lines.map(({ wire, decision, target }) => [wire, decision, target]), [
    ["libp2p", "allow", "self"],
    ["libp2p", "rate_limit", "self"],
    ["http", "deny", "self"],
    ["grpc", "allow", "https://a.example/"],
  ]);
  equal(lines[2].skill, forged);
  equal(lines[3].skill.length, 513);
  // deno-lint-ignore no-control-regex
  equal(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028]/.test(text), false);
  equal((await Deno.stat(path)).mode! & 0o777, 0o600);
});

Deno.test("the settings of the policy refuse what would be taken for something else", () => {
  const bad = [
    "policy.acl = [{ source = 'x' }]",
    "policy.acl = [{ allow = 'yes' }]",
    "policy.acl = [{ allow = true, sorce = 'x' }]",
    "policy.acl = [{ allow = true, target = 'x' }]",
    "policy.acl = [{ allow = true, direction = 'in' }]",
    "policy.acl = [{ allow = true, source = '[abc]' }]",
    "policy.acl = [{ allow = true, credential = { type = 'x' } }]",
    "policy.acl = { allow = true }",
    "policy.rate_limit = { default_rps = -1 }",
    "policy.rate_limit = { default_rps = 'many' }",
    "policy.rate_limit = { rps = 1 }",
    "policy.rate_limit = { max_tasks = 1.5 }",
    "policy.rate_limit = { overrides = [{ rps = 1 }] }",
  ];
  for (const toml of bad) throws(() => configOf(toml), { code: "invalid_argument" }, toml);
});

Deno.test("fitsPattern() fits whole texts, and takes no long time for any pattern", () => {
  const cases: [string, string, boolean][] = [
    ["*", "", true],
    ["a*c", "abbbc", true],
    ["a*c", "abbbcd", false],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["http:*", "http:alice", true],
    ["", "", true],
    ["", "a", false],
    ["*a*b*", "xxaxxbxx", true],
  ];
  for (const [pattern, text, fits] of cases) equal(fitsPattern(pattern, text), fits, `${pattern} ${text}`);
  equal(fitsPattern(`${"*a".repeat(500)}b`, "a".repeat(10_000)), false);
});
