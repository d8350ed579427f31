import assert from "node:assert/strict";
import { signBytes } from "../../../identity/mod.ts";
import { signRequest } from "../../../http/mod.ts";
import { type AnpRig, startAnpRig } from "../../support/anp_rig.ts";

const LOCAL = { remoteAddress: "127.0.0.1" };
const FAR = { remoteAddress: "203.0.113.9" };
const BASE = "http://127.0.0.1:8090";

async function get(rig: AnpRig, path: string, headers: Record<string, string> = {}, base = BASE) {
  return await rig.handler(new Request(base + path, { headers }), FAR);
}

interface Answer {
  readonly jsonrpc: string;
  readonly id: unknown;
  readonly result?: Record<string, unknown>;
  readonly error?: { code: number; message: string; data?: Record<string, string> };
}

async function call(rig: AnpRig, body: unknown, info = LOCAL): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await rig.handler(new Request(`${BASE}/agent/rpc`, { method: "POST", body: text }), info);
  return await response.json();
}

Deno.test("createAnpApp() takes nobody for local that reaches it by its public URL", async () => {
  await using rig = await startAnpRig({ publicUrl: "https://agent.example" });
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "paint", params: "x" });
  const response = await rig.handler(new Request(`${BASE}/agent/rpc`, { method: "POST", body }), LOCAL);
  assert.equal(response.status, 401);
  await response.body?.cancel();
});

const rpc = (method: string, params?: unknown, id: unknown = 7) => ({ jsonrpc: "2.0", id, method, params });

Deno.test("createAnpApp() describes the agent as ANP-07 and as the existing network does", async () => {
  await using rig = await startAnpRig();
  const ad = await (await get(rig, "/agent/ad.json")).json();
  assert.equal(ad["@type"], "anp:AgentDescription");
  assert.equal(ad["@id"], `${BASE}/agent/ad.json`);
  assert.deepEqual(
    [ad.protocolType, ad.type, ad.name, ad.did, ad.version],
    ["ANP", "AgentDescription", "Painter", rig.identity.didKey, "2.1.0"],
  );
  assert.ok(ad.securityDefinitions[ad.security]);
  assert.equal(ad.interfaces[0].protocol, "openrpc");
  const openRpc = await (await get(rig, new URL(ad.interfaces[0].url).pathname)).json();
  assert.equal(openRpc.openrpc, "1.3.2");
  assert.deepEqual(openRpc.servers, [{ name: "Painter", url: `${BASE}/agent/rpc` }]);
  const methods = openRpc.methods as { name: string; params: { name: string; schema: unknown }[] }[];
  assert.deepEqual(methods.map(({ name }) => name), ["paint", "mix", "get_task", "cancel_task"]);
  assert.deepEqual(methods[0]?.params[0]?.schema, { type: "string" });
  assert.deepEqual(methods[1]?.params[0]?.schema, { type: "object", properties: { a: { type: "string" } } });
  const page = await (await get(rig, "/.well-known/agent-descriptions")).json();
  assert.deepEqual(page.items, [{
    "@type": "ad:AgentDescription",
    name: "Painter",
    "@id": `${BASE}/agent/ad.json`,
  }]);
});

Deno.test("createAnpApp() shows the card as it is now, and 404 while there is none", async () => {
  await using rig = await startAnpRig();
  const { card } = rig;
  rig.card = undefined;
  assert.equal((await get(rig, "/agent/ad.json")).status, 404);
  assert.deepEqual((await (await get(rig, "/.well-known/agent-descriptions")).json()).items, []);
  assert.match((await call(rig, rpc("paint", "x"))).error?.message ?? "", /no agent here yet/);
  rig.card = card && { ...card, name: "Other" };
  assert.equal((await (await get(rig, "/agent/ad.json")).json()).name, "Other");
});

Deno.test("createAnpApp() lets documents be kept, serves DID documents and names its public URL", async () => {
  await using rig = await startAnpRig({ publicUrl: "https://agent.example/anp" });
  const first = await get(rig, "/agent/ad.json");
  assert.match(first.headers.get("cache-control") ?? "", /max-age/);
  assert.equal((await first.json())["@id"], "https://agent.example/anp/agent/ad.json");
  const again = await get(rig, "/agent/ad.json", { "if-none-match": first.headers.get("etag") ?? "" });
  assert.equal(again.status, 304);
  assert.equal((await (await get(rig, "/.well-known/did.json")).json()).id, "did:wba:x.example");
  assert.equal((await get(rig, "/elsewhere")).status, 404);
  const listed = await rig.handler(new Request(`${BASE}/agent/rpc`), LOCAL);
  assert.equal(listed.status, 405);
});

Deno.test("createAnpApp() answers a call with the result of its task under the id of the call", async () => {
  await using rig = await startAnpRig();
  for (const params of [{ input: "a house" }, { message: "a house" }, "a house", ["a house"]]) {
    const { id, result, error } = await call(rig, rpc("paint", params, "call-1"));
    assert.equal(error, undefined);
    assert.equal(id, "call-1");
    assert.equal(result?.status, "TASK_STATUS_COMPLETED");
    assert.equal(result?.text, "painted a house");
    assert.deepEqual(result?.data, { skill: "paint" });
  }
  const { result } = await call(rig, rpc("mix", { a: "red", b: "blue" }));
  assert.equal(result?.text, 'painted {"a":"red","b":"blue"}');
  const stored = await rig.engine.getTask(String(result?.task_id));
  assert.deepEqual([stored.peerId, stored.targetSkillId], ["anp:anonymous", "mix"]);
});

Deno.test("createAnpApp() asks back, and goes on with the answer", async () => {
  await using rig = await startAnpRig();
  const asked = (await call(rig, rpc("paint", { input: "which" }))).result;
  assert.deepEqual([asked?.status, asked?.text], ["TASK_STATUS_INPUT_REQUIRED", "which colour?"]);
  const done = (await call(rig, rpc("paint", { input: "blue", task_id: asked?.task_id }))).result;
  assert.deepEqual([done?.status, done?.task_id], ["TASK_STATUS_COMPLETED", asked?.task_id]);
});

Deno.test("createAnpApp() tells how a slow task stands, and get_task its end, to its caller alone", async () => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  await using rig = await startAnpRig({
    ...{ release, answerTimeoutMs: 20 },
    ...{ publicUrl: "https://agent.example", anonymous: "always" },
  });
  const { result } = await call(rig, rpc("paint", "slow"));
  assert.equal(result?.status, "TASK_STATUS_SUBMITTED");
  const params = { task_id: result?.task_id };
  assert.equal((await call(rig, rpc("get_task", params))).result?.status, "TASK_STATUS_SUBMITTED");
  const signed = await callSigned(rig, rpc("get_task", params));
  assert.match((await signed.json()).error.message, /no such task/);
  resolve();
  for await (const { status } of rig.engine.subscribe(String(result?.task_id))) {
    if (status === "completed") break;
  }
  assert.equal((await call(rig, rpc("get_task", params))).result?.text, "painted slow");
  assert.equal((await call(rig, rpc("cancel_task", params))).error?.code, -32000);
});

Deno.test("createAnpApp() answers errors of JSON-RPC by their numbers", async () => {
  await using rig = await startAnpRig();
  const codes: [unknown, number][] = [
    ["{", -32700],
    [{}, -32600],
    [[], -32600],
    [{ ...rpc("paint", "x"), jsonrpc: "1.0" }, -32600],
    [rpc("unknown"), -32601],
    [rpc("get_task", {}), -32602],
    [rpc("get_task", { task_id: "nope" }), -32000],
    [rpc("paint", "fail"), -32000],
  ];
  for (const [body, code] of codes) {
    assert.equal((await call(rig, body)).error?.code, code, JSON.stringify(body));
  }
  const failed = (await call(rig, rpc("paint", "fail"))).error;
  assert.equal(failed?.message, "out of paint");
  assert.equal(failed?.data?.status, "TASK_STATUS_FAILED");
});

Deno.test("createAnpApp() answers batches and no notifications", async () => {
  await using rig = await startAnpRig();
  const answers = await call(rig, [rpc("paint", "a", 1), rpc("unknown", "b", 2)]) as unknown as Answer[];
  assert.deepEqual(answers.map(({ id }) => id), [1, 2]);
  const { id: _, ...notification } = rpc("paint", "c");
  const body = JSON.stringify(notification);
  const response = await rig.handler(new Request(`${BASE}/agent/rpc`, { method: "POST", body }), LOCAL);
  assert.equal(response.status, 204);
});

Deno.test("createAnpApp() refuses a body that would become too many values", async () => {
  await using rig = await startAnpRig();
  const many = `[${"[],".repeat(200_000)}1]`;
  assert.equal((await call(rig, many)).error?.code, -32600);
});

Deno.test("createAnpApp() takes no signature for a name that is not known to be its own", async () => {
  await using rig = await startAnpRig();
  const response = await callSigned(rig, rpc("paint", "x"));
  assert.equal(response.status, 401);
  assert.match((await response.json()).error.message, /anp\.public_url/);
});

Deno.test("createAnpApp() reads nothing of a stranger who proves nothing", async () => {
  await using rig = await startAnpRig();
  const body = new ReadableStream({ pull: () => Promise.reject(new Error("it was read")) }, {
    highWaterMark: 0,
  });
  const response = await rig.handler(new Request(`${BASE}/agent/rpc`, { method: "POST", body }), FAR);
  assert.equal(response.status, 401);
  await response.body?.cancel();
});

Deno.test("createAnpApp() answers only so many calls at once", async () => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  await using rig = await startAnpRig({ release, maxCalls: 1 });
  const slow = call(rig, rpc("paint", "slow"));
  assert.match((await call(rig, rpc("paint", "x"))).error?.message ?? "", /busy/);
  resolve();
  assert.equal((await slow).result?.text, "painted slow");
});

async function callSigned(
  rig: AnpRig,
  body: unknown,
  options: { keyId?: string; nowMs?: number; nonce?: string; change?: (headers: Headers) => void } = {},
) {
  const { didKey } = rig.identity;
  const { keyId = `${didKey}#${didKey.slice("did:key:".length)}`, change, ...times } = options;
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const url = new URL("https://agent.example/agent/rpc");
  const sign = (base: Uint8Array) => signBytes(rig.identity, base);
  const headers = new Headers(signRequest({ method: "POST", url, body: bytes }, { keyId, sign }, times));
  change?.(headers);
  return await rig.handler(new Request(url, { method: "POST", headers, body: bytes }), FAR);
}

Deno.test("createAnpApp() takes a caller for the DID that has signed, once", async () => {
  await using rig = await startAnpRig({ publicUrl: "https://agent.example" });
  const response = await callSigned(rig, rpc("paint", "a house"), { nonce: "n1" });
  assert.equal(response.status, 200);
  const { result } = await response.json();
  assert.equal((await rig.engine.getTask(result.task_id)).peerId, `anp:${rig.identity.didKey}`);
  const again = await callSigned(rig, rpc("paint", "a house"), { nonce: "n1" });
  assert.equal(again.status, 401);
  assert.match(
    again.headers.get("www-authenticate") ?? "",
    /^DIDWba realm="agent\.example", error="invalid_nonce"/,
  );
  await again.body?.cancel();
});

Deno.test("createAnpApp() tells what is wrong with a proof, as ANP-02 names it", async () => {
  await using rig = await startAnpRig({ publicUrl: "https://agent.example" });
  const error = async (options: Parameters<typeof callSigned>[2]) => {
    const response = await callSigned(rig, rpc("paint", "x"), options);
    assert.equal(response.status, 401);
    assert.ok(response.headers.get("accept-signature"));
    await response.body?.cancel();
    return /error="(\w+)"/.exec(response.headers.get("www-authenticate") ?? "")?.[1];
  };
  const { didKey } = rig.identity;
  assert.equal(await error({ nowMs: Date.now() - 3_600_000 }), "invalid_timestamp");
  assert.equal(await error({ nowMs: Date.now() + 3_600_000 }), "invalid_timestamp");
  assert.equal(await error({ keyId: "alice" }), "invalid_did");
  assert.equal(await error({ keyId: "did:web:nowhere.example#key-1" }), "invalid_did");
  assert.equal(await error({ keyId: `${didKey}#other` }), "invalid_verification_method");
  assert.equal(
    await error({ change: (headers) => headers.set("signature", "sig1=:AAAA:") }),
    "invalid_signature",
  );
  assert.equal(await error({ change: (headers) => headers.set("signature-input", "x") }), "invalid_request");
  assert.equal(
    await error({ change: (headers) => headers.set("content-digest", "sha-256=:AAAA:") }),
    "invalid_content_digest",
  );
});

Deno.test("createAnpApp() takes the key of a did:wba document for authentication", async () => {
  const { createDidDocument, createIdentity } = await import("../../../identity/mod.ts");
  const did = "did:wba:caller.example";
  const { publicKey } = createIdentity(new Uint8Array(32).fill(9));
  const document = createDidDocument(did, { publicKeys: [publicKey] });
  await using rig = await startAnpRig({
    publicUrl: "https://agent.example",
    network: {
      fetchBytes: (url) => {
        assert.equal(url, "https://caller.example/.well-known/did.json");
        return Promise.resolve(new TextEncoder().encode(JSON.stringify(document)));
      },
      resolveTxt: () => Promise.resolve([]),
    },
  });
  const response = await callSigned(rig, rpc("paint", "x"), { keyId: `${did}#key-1` });
  const { result } = await response.json();
  assert.equal((await rig.engine.getTask(result.task_id)).peerId, `anp:${did}`);
});

Deno.test("createAnpApp() serves the anonymous as it is told, and no page of another site", async () => {
  const status = async (
    anonymous: "loopback" | "always" | "never",
    info: typeof LOCAL,
    headers = {},
    base = BASE,
  ) => {
    await using rig = await startAnpRig({ anonymous });
    const body = JSON.stringify(rpc("paint", "x"));
    const response = await rig.handler(
      new Request(`${base}/agent/rpc`, { method: "POST", body, headers }),
      info,
    );
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status("loopback", LOCAL), 200);
  assert.equal(await status("loopback", FAR), 401);
  assert.equal(await status("always", FAR), 200);
  assert.equal(await status("never", LOCAL), 401);
  assert.equal(await status("loopback", LOCAL, {}, "http://rebound.example:8090"), 401);
  assert.equal(await status("loopback", LOCAL, { "x-forwarded-for": "203.0.113.9" }), 401);
  assert.equal(await status("loopback", LOCAL, { origin: "https://evil.example" }), 403);
  assert.equal(await status("loopback", LOCAL, { origin: BASE }), 200);
});
