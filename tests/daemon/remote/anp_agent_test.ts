import assert from "node:assert/strict";
import type { HttpHandler } from "../../../http/mod.ts";
import { ANP_CARD, startAnpRig } from "../../support/anp_rig.ts";
import { startUrlRig, textsOf } from "../../support/url_rig.ts";

/** A handler behind a real socket on loopback. */
function serve(handler: HttpHandler) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request, { remoteAddr }) => handler(request, { remoteAddress: (remoteAddr as Deno.NetAddr).hostname }),
  );
  const url = `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
  return { url, [Symbol.asyncDispose]: () => server.shutdown() };
}

const PAINT_ONLY = { ...ANP_CARD, skills: ANP_CARD.skills.slice(0, 1) };

Deno.test("UrlTransport brings a task to an agent of ANP, signed by this node's DID, and its result back", async () => {
  await using agent = await startAnpRig({ anonymous: "never" });
  agent.card = PAINT_ONLY;
  await using server = serve(agent.handler);
  await using rig = await startUrlRig();
  for (const url of [server.url, `${server.url}/agent/ad.json`]) {
    const task = await rig.until((await rig.send(url, "a house")).taskId);
    assert.equal(task.status, "completed", task.errorMessage);
    assert.deepEqual(textsOf(task.artifacts), ["painted a house"]);
    assert.deepEqual(task.artifacts[0]?.parts[1]?.content, { kind: "data", data: { skill: "paint" } });
    await rig.forgotten(task.taskId);
  }
  const { tasks } = await agent.engine.listTasks({ pageSize: 5 });
  assert.match(tasks[0]?.peerId ?? "", /^anp:did:key:z6Mk/);
});

Deno.test("UrlTransport goes on with what an agent of ANP asks, and asks for what takes long", async () => {
  const { promise: release, resolve } = Promise.withResolvers<void>();
  await using agent = await startAnpRig({ release, answerTimeoutMs: 20 });
  agent.card = PAINT_ONLY;
  await using server = serve(agent.handler);
  await using rig = await startUrlRig();
  const { taskId } = await rig.send(server.url, "which");
  const asked = await rig.until(taskId, "input_required");
  assert.equal(textsOf(asked.messages).at(-1), "which colour?");
  await rig.send(server.url, "blue", { taskId });
  assert.equal((await rig.until(taskId)).status, "completed");
  const slow = await rig.send(server.url, "slow");
  await rig.taken(slow.taskId);
  resolve();
  assert.deepEqual(textsOf((await rig.until(slow.taskId)).artifacts), ["painted slow"]);
});

Deno.test("UrlTransport tells why an agent of ANP takes no task", async () => {
  await using agent = await startAnpRig();
  await using server = serve(agent.handler);
  await using rig = await startUrlRig();
  const unnamed = await rig.until((await rig.send(server.url, "a house")).taskId);
  assert.equal(unnamed.status, "rejected");
  assert.match(unnamed.errorMessage, /name one of its skills \(paint, mix\)/);
  agent.card = PAINT_ONLY;
  rig.agents.forget(`${server.url}/`);
  const failed = await rig.until((await rig.send(server.url, "fail")).taskId);
  assert.deepEqual([failed.status, /out of paint/.test(failed.errorMessage)], ["failed", true]);
});

/** An agent of ANP that is somebody else's: its OpenRPC document, and a function per method. */
function foreignAgent(
  options: { methods: unknown[]; answer: (call: { method: string; params: unknown }) => unknown },
) {
  const calls: { method: string; params: unknown; signature: string | null }[] = [];
  const handler: HttpHandler = async (request) => {
    const { pathname, origin } = new URL(request.url);
    if (pathname === "/hotel/ad.json") {
      const content = { openrpc: "1.3.2", servers: [{ url: `${origin}/call` }], methods: options.methods };
      const interfaces = [{ type: "NaturalLanguageInterface", protocol: "YAML" }, {
        protocol: "openrpc",
        content,
      }];
      return Response.json({ protocolType: "ANP", type: "AgentDescription", name: "Hotel", interfaces });
    }
    if (pathname !== "/call") return new Response("no", { status: 404 });
    const { id, method, params } = await request.json();
    calls.push({ method, params, signature: request.headers.get("signature-input") });
    if (calls.length === 1) {
      return new Response(null, {
        status: 401,
        headers: { "www-authenticate": 'DIDWba error="x", nonce="n-77"' },
      });
    }
    return Response.json({ jsonrpc: "2.0", id, result: options.answer({ method, params }) });
  };
  return { calls, handler };
}

Deno.test("UrlTransport calls an inline interface by its parameters, with the nonce of a challenge", async () => {
  const agent = foreignAgent({
    methods: [{
      name: "searchRooms",
      params: [{ name: "guests", required: true, schema: { type: "integer" } }, { name: "city", schema: {} }],
    }],
    answer: () => ({ rooms: [1, 2], total: 2 }),
  });
  await using server = serve(agent.handler);
  await using rig = await startUrlRig();
  const task = await rig.until(
    (await rig.send(`${server.url}/hotel/ad.json`, '{"guests": 2, "city": "Rome"}')).taskId,
  );
  assert.equal(task.status, "completed", task.errorMessage);
  assert.deepEqual(task.artifacts[0]?.parts[0]?.content, { kind: "data", data: { rooms: [1, 2], total: 2 } });
  assert.deepEqual(agent.calls.map(({ params }) => params), [{ guests: 2, city: "Rome" }, {
    guests: 2,
    city: "Rome",
  }]);
  assert.match(agent.calls[1]?.signature ?? "", /nonce="n-77"/);
});
