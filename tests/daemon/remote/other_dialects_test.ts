import assert from "node:assert/strict";
import { type A2aServerOptions, startA2aServer } from "../../support/a2a_server.ts";
import { startHttpScript } from "../../support/http_script.ts";
import { startUrlRig, textsOf } from "../../support/url_rig.ts";

for (const version of ["1.0", "0.3"] satisfies A2aServerOptions["version"][]) {
  Deno.test(`UrlTransport finds out that an agent without a card speaks ${version}, and does the task once`, async () => {
    await using server = await startA2aServer({ binding: "JSONRPC", version, card: undefined });
    await using rig = await startUrlRig();
    const { taskId } = await rig.send(`${server.url}/a2a`, "wait here");
    await server.agent.waiting();
    server.agent.release();
    const task = await rig.until(taskId);
    assert.equal(task.status, "completed", task.errorMessage);
    assert.deepEqual(server.agent.executed, ["wait here"]);
  });
}

Deno.test("UrlTransport says so when there is no agent at the URL", async () => {
  await using page = startHttpScript(() =>
    new Response("<html>", { headers: { "content-type": "text/html" } })
  );
  await using rig = await startUrlRig();
  const task = await rig.until((await rig.send(page.url, "hello")).taskId);
  assert.equal(task.status, "rejected");
  assert.match(task.errorMessage, /no A2A agent at this URL.*check the URL/);
});

interface LegacyOptions {
  readonly status?: string;
  readonly later?: string;
}

/** An agent of the existing network's HTTP dialect. */
function startLegacyAgent({ status = "completed", later }: LegacyOptions = {}) {
  return startHttpScript(({ path, json }, url) => {
    if (path === "/.well-known/a2a-agent-card") {
      return { name: "Old", description: "", version: "1", protocol_version: "a2a/0.3", skills: [], url };
    }
    if (json === undefined) return undefined;
    const { id, method } = json;
    const answer = (now: string) => ({
      jsonrpc: "2.0",
      id,
      result: {
        id: "remote-1",
        status: now,
        messages: [{ role: "agent", parts: [{ type: "text", text: `is ${now}` }] }],
        artifacts: [{ artifact_id: "a", name: "A", parts: [{ type: "text", text: "old result" }] }],
      },
    });
    if (method === "tasks/send") return answer(status);
    if (method === "tasks/get" && later !== undefined) return answer(later);
    return { jsonrpc: "2.0", id, error: { code: -32601, message: "method not found" } };
  });
}

Deno.test("UrlTransport speaks the dialect of the existing network to agents with its card", async () => {
  await using server = startLegacyAgent();
  await using rig = await startUrlRig();
  const { taskId } = await rig.send(server.url, "hello");
  const task = await rig.until(taskId);
  assert.equal(task.status, "completed", task.errorMessage);
  assert.deepEqual(textsOf(task.artifacts), ["old result"]);
  const call = server.seen.find(({ json }) => json?.method === "tasks/send")?.json;
  assert.deepEqual(call?.params, {
    id: taskId,
    message: { role: "user", parts: [{ type: "text", text: "hello" }] },
    metadata: {},
  });
});

Deno.test("UrlTransport asks an agent of that dialect how a task goes on, and fails it when nobody can say", async () => {
  await using patient = startLegacyAgent({ status: "working", later: "completed" });
  await using rig = await startUrlRig();
  assert.equal((await rig.until((await rig.send(patient.url, "hello")).taskId)).status, "completed");
  await using silent = startLegacyAgent({ status: "submitted" });
  const lost = await rig.until((await rig.send(silent.url, "hello")).taskId);
  assert.equal(lost.status, "failed");
  assert.match(lost.errorMessage, /offers no way to learn how it ends/);
  await using failing = startLegacyAgent({ status: "failed" });
  const failed = await rig.until((await rig.send(failing.url, "hello")).taskId);
  assert.deepEqual([failed.status, failed.errorMessage], ["failed", "is failed"]);
});

Deno.test("UrlTransport chooses the newest interface that it speaks, and tells what a card offers when there is none", async () => {
  await using modern = await startA2aServer({
    binding: "JSONRPC",
    version: "1.0",
    card: (url) => ({
      name: "Many",
      capabilities: { streaming: true },
      supportedInterfaces: [
        { url: `${url}/nowhere`, protocolBinding: "JSONRPC", protocolVersion: "0.3" },
        { url: `${url}/tunnel`, protocolBinding: "urn:example:tunnel", protocolVersion: "1.0" },
        { url: `${url}/a2a`, protocolBinding: "JSONRPC", protocolVersion: "1.0" },
      ],
    }),
  });
  await using rig = await startUrlRig();
  assert.equal((await rig.until((await rig.send(modern.url, "echo")).taskId)).status, "completed");
  const supportedInterfaces = [{ url: "x:1", protocolBinding: "TUNNEL", protocolVersion: "1.0" }];
  await using server = startHttpScript(() => ({ name: "Odd", supportedInterfaces, capabilities: {} }));
  const task = await rig.until((await rig.send(server.url, "echo")).taskId);
  assert.equal(task.status, "rejected");
  assert.match(task.errorMessage, /offers TUNNEL 1\.0: this node speaks JSONRPC/);
});

const STREAM = { headers: { "content-type": "text/event-stream" } };
const CARD = (url: string) => ({
  name: "Bad",
  capabilities: { streaming: true },
  supportedInterfaces: [{ url: `${url}/a2a`, protocolBinding: "HTTP+JSON", protocolVersion: "1.0" }],
});

Deno.test("UrlTransport takes one answer in place of a stream, and no event that is not JSON", async () => {
  const task = { id: "t", contextId: "c", status: { state: "TASK_STATE_COMPLETED" } };
  await using plain = startHttpScript(({ path }, url) =>
    path === "/.well-known/agent-card.json"
      ? CARD(url)
      : path === "/a2a/message:stream"
      ? { task }
      : undefined
  );
  await using rig = await startUrlRig();
  assert.equal((await rig.until((await rig.send(plain.url, "hello")).taskId)).status, "completed");
  await using broken = startHttpScript(({ path }, url) =>
    path === "/.well-known/agent-card.json" ? CARD(url) : new Response("data: {not json\n\n", STREAM)
  );
  const lost = await rig.until((await rig.send(broken.url, "hello")).taskId);
  assert.equal(lost.status, "failed");
  assert.match(lost.errorMessage, /event that is not JSON/);
});
