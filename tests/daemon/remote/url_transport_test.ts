import assert from "node:assert/strict";
import { type A2aServerOptions, type ExpressRequest, startA2aServer } from "../../support/a2a_server.ts";
import { untilHolds } from "../../support/patience.ts";
import { startUrlRig, textsOf } from "../../support/url_rig.ts";
import { IDEMPOTENT_SEND } from "../../../daemon/a2a_api/idempotent_send.ts";
import { createMemoryKvStore } from "../../../kv/mod.ts";

const WAYS: readonly Pick<A2aServerOptions, "binding" | "version" | "streaming">[] = [
  { binding: "JSONRPC", version: "1.0", streaming: true },
  { binding: "JSONRPC", version: "1.0", streaming: false },
  { binding: "JSONRPC", version: "0.3", streaming: true },
  { binding: "JSONRPC", version: "0.3", streaming: false },
  { binding: "HTTP+JSON", version: "1.0", streaming: true },
  { binding: "HTTP+JSON", version: "1.0", streaming: false },
  { binding: "HTTP+JSON", version: "0.3", streaming: true },
  { binding: "HTTP+JSON", version: "0.3", streaming: false },
  { binding: "GRPC", version: "1.0", streaming: true },
  { binding: "GRPC", version: "1.0", streaming: false },
];

for (const way of WAYS) {
  const name = `${way.binding} ${way.version}${way.streaming ? " with streams" : ""}`;
  Deno.test(`UrlTransport brings a task to an agent and its results back over ${name}`, async () => {
    await using server = await startA2aServer(way);
    await using rig = await startUrlRig();
    const { taskId } = await rig.send(server.url, "echo hello");
    const task = await rig.until(taskId);
    assert.equal(task.status, "completed", task.errorMessage);
    assert.deepEqual(textsOf(task.artifacts), ["echo hello"]);
    assert.ok(textsOf(task.messages).includes("done"));
    assert.deepEqual(server.agent.executed, ["echo hello"]);
    await rig.forgotten(taskId);
  });
}

for (const way of WAYS) {
  const name = `${way.binding} ${way.version}${way.streaming ? " with streams" : ""}`;
  Deno.test(`UrlTransport asks back, goes on and calls off over ${name}`, async () => {
    await using server = await startA2aServer(way);
    await using rig = await startUrlRig();
    const { taskId } = await rig.send(server.url, "ask me");
    const asked = await rig.until(taskId, "input_required");
    assert.equal(asked.status, "input_required", asked.errorMessage);
    assert.ok(textsOf(asked.messages).includes("which one?"));
    await rig.send(server.url, "the red one", { taskId });
    const done = await rig.until(taskId);
    assert.equal(done.status, "completed", done.errorMessage);
    assert.equal(textsOf(done.messages).at(-1), "thank you");
    assert.deepEqual(server.agent.executed, ["ask me", "the red one"]);

    const waiting = await rig.send(server.url, "wait for me");
    await server.agent.waiting();
    await rig.until(waiting.taskId, "working");
    await rig.engine.cancelTask(waiting.taskId);
    assert.equal((await rig.until(waiting.taskId)).status, "canceled");
    await rig.forgotten(waiting.taskId);
  });
}

Deno.test("UrlTransport maps every end and every state of an agent", async () => {
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0" });
  await using rig = await startUrlRig();
  const end = async (text: string) =>
    await rig.until((await rig.send(server.url, text)).taskId, "input_required", "auth_required");
  const failed = await end("fail");
  assert.deepEqual([failed.status, failed.errorMessage], ["failed", "out of paper"]);
  const rejected = await end("reject");
  assert.deepEqual([rejected.status, rejected.errorMessage], ["rejected", "not mine to do"]);
  assert.equal((await end("auth")).status, "auth_required");
  const answered = await end("message");
  assert.deepEqual([answered.status, textsOf(answered.messages).at(-1)], ["completed", "just so"]);
  await rig.forgotten(answered.taskId);
  const broken = await end("throw");
  assert.equal(broken.status, "failed");
});

Deno.test("UrlTransport puts the pieces of an artifact together", async () => {
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0" });
  await using rig = await startUrlRig();
  const { artifacts } = await rig.until((await rig.send(server.url, "chunks")).taskId);
  assert.deepEqual(artifacts.map(({ artifactId, name }) => [artifactId, name]), [["poem", "Poem"]]);
  assert.deepEqual(textsOf(artifacts), ["one two three"]);
});

for (const { binding, version } of WAYS.filter(({ streaming }) => streaming)) {
  Deno.test(`UrlTransport brings parts of every kind there and back over ${binding} ${version}`, async () => {
    await using server = await startA2aServer({ binding, version });
    await using rig = await startUrlRig();
    const plain = { mediaType: "text/plain", metadata: {} };
    const parts = [
      { content: { kind: "text", text: "echo" }, ...plain },
      {
        content: { kind: "data", data: { a: [1, { b: null }] } },
        mediaType: "application/json",
        metadata: { page: 3 },
      },
      {
        content: { kind: "url", url: "https://a.example/x.png", filename: "x.png" },
        mediaType: "image/png",
        metadata: {},
      },
      {
        content: { kind: "raw", data: Uint8Array.of(0, 255, 7), filename: "y.bin" },
        mediaType: "a/b",
        metadata: {},
      },
    ] as const;
    const task = await rig.until((await rig.send(server.url, "", { parts: [...parts] })).taskId);
    assert.equal(task.status, "completed", task.errorMessage);
    // That one wire has no field for names of files.
    const named = !(binding === "HTTP+JSON" && version === "0.3");
    assert.deepEqual(
      task.artifacts[0]?.parts.map(({ content }) => content),
      parts.map(({ content }) => named || !("filename" in content) ? content : { ...content, filename: "" }),
    );
    if (version === "1.0") assert.deepEqual(task.artifacts[0]?.parts[1]?.metadata, { page: 3 });
    assert.deepEqual(task.artifacts[0]?.parts.slice(2).map((part) => part.mediaType), ["image/png", "a/b"]);
  });
}

for (const way of [WAYS[0], WAYS[1], WAYS[2]]) {
  if (way === undefined) continue;
  const name = `${way.binding} ${way.version}${way.streaming ? " with streams" : ""}`;
  Deno.test(`UrlTransport picks a task up again after a restart over ${name}, and does it once`, async () => {
    await using server = await startA2aServer(way);
    const kv = createMemoryKvStore();
    let taskId: string;
    {
      await using rig = await startUrlRig({ kv });
      ({ taskId } = await rig.send(server.url, "wait here"));
      await server.agent.waiting();
      await rig.taken(taskId);
    }
    await using rig = await startUrlRig({ kv });
    server.agent.release();
    const task = await rig.until(taskId);
    assert.equal(task.status, "completed", task.errorMessage);
    assert.equal(textsOf(task.messages).at(-1), "waited");
    assert.deepEqual(server.agent.executed, ["wait here"]);
    await rig.forgotten(taskId);
  });
}

Deno.test("UrlTransport finds the end of a task that ended while the node was down", async () => {
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0" });
  const kv = createMemoryKvStore();
  let taskId: string;
  {
    await using rig = await startUrlRig({ kv });
    ({ taskId } = await rig.send(server.url, "wait here"));
    await server.agent.waiting();
    await rig.taken(taskId);
  }
  server.agent.release();
  await using rig = await startUrlRig({ kv });
  assert.equal((await rig.until(taskId)).status, "completed");
});

Deno.test("UrlTransport goes on with a task whose stream breaks", async () => {
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0" });
  await using rig = await startUrlRig();
  const { taskId } = await rig.send(server.url, "wait here");
  await server.agent.waiting();
  await rig.until(taskId, "working");
  server.cut();
  server.agent.release();
  assert.equal((await rig.until(taskId)).status, "completed");
  assert.deepEqual(server.agent.executed, ["wait here"]);
});

const isSend = ({ body, path }: ExpressRequest) => /send|stream/i.test(body?.method ?? path);

Deno.test("UrlTransport sends again what cannot have arrived", async () => {
  const broken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = broken.addr as Deno.NetAddr;
  broken.close();
  await using rig = await startUrlRig();
  const { taskId } = await rig.send(`http://127.0.0.1:${port}`, "echo later");
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0", port });
  const task = await rig.until(taskId);
  assert.equal(task.status, "completed", task.errorMessage);
  assert.deepEqual(server.agent.executed, ["echo later"]);
});

Deno.test("UrlTransport sends again when the agent is busy", async () => {
  let left = 3;
  await using server = await startA2aServer({
    binding: "JSONRPC",
    version: "1.0",
    before: () => left-- > 0 ? { status: left === 1 ? 429 : 503, body: {} } : undefined,
  });
  await using rig = await startUrlRig();
  const task = await rig.until((await rig.send(server.url, "echo at last")).taskId);
  assert.equal(task.status, "completed", task.errorMessage);
  assert.deepEqual(server.agent.executed, ["echo at last"]);
});

Deno.test("UrlTransport finds the task of a message whose answer was lost, and does not send it again", async () => {
  let lost = 0;
  await using server = await startA2aServer({
    binding: "JSONRPC",
    version: "1.0",
    before: (request) => isSend(request) && lost++ === 0 ? "swallow" : undefined,
  });
  await using rig = await startUrlRig();
  const task = await rig.until((await rig.send(server.url, "echo once")).taskId);
  assert.equal(task.status, "completed", task.errorMessage);
  assert.deepEqual(textsOf(task.artifacts), ["echo once"]);
  assert.deepEqual(server.agent.executed, ["echo once"]);
});

for (const version of ["1.0", "0.3"] as const) {
  Deno.test(`UrlTransport fails honestly when nobody can tell whether a ${version} agent has the message`, async () => {
    let broken = 0;
    await using server = await startA2aServer({
      binding: "JSONRPC",
      version,
      before: (request) => isSend(request) && broken++ === 0 ? "break" : undefined,
    });
    await using rig = await startUrlRig();
    const task = await rig.until((await rig.send(server.url, "echo")).taskId);
    assert.equal(task.status, "failed");
    assert.match(task.errorMessage, /Nobody knows whether the agent has got the message.*not sent again/);
    assert.deepEqual(server.agent.executed, []);
    await rig.forgotten(task.taskId);
  });
}

Deno.test("UrlTransport does not send again what an earlier run was sending", async () => {
  const hanging = Promise.withResolvers<void>();
  const before = (request: ExpressRequest) => {
    if (!isSend(request)) return undefined;
    hanging.resolve();
    return "hang" as const;
  };
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0", before });
  const kv = createMemoryKvStore();
  let taskId: string;
  {
    await using rig = await startUrlRig({ kv });
    ({ taskId } = await rig.send(server.url, "echo"));
    await hanging.promise;
  }
  await using rig = await startUrlRig({ kv });
  const task = await rig.until(taskId);
  assert.equal(task.status, "failed");
  assert.match(task.errorMessage, /was stopped before the agent answered/);
  assert.deepEqual(server.agent.executed, []);
});

Deno.test("UrlTransport tells why an agent takes no task", async () => {
  const answers: [unknown, number, RegExp][] = [
    [{ jsonrpc: "2.0", id: 1, error: { code: -32602, message: "no such thing" } }, 200, /no such thing/],
    [{ jsonrpc: "2.0", id: 1, error: { code: -32005, message: "images only" } }, 200, /images only/],
    [{}, 401, /wants credentials.*credentials file/],
    [{}, 403, /does not let this node in/],
  ];
  for (const [body, status, reason] of answers) {
    await using server = await startA2aServer({
      binding: "JSONRPC",
      version: "1.0",
      before: () => ({ status, body }),
    });
    await using rig = await startUrlRig();
    const task = await rig.until((await rig.send(server.url, "echo")).taskId);
    assert.equal(task.status, "rejected");
    assert.match(task.errorMessage, reason);
    await rig.forgotten(task.taskId);
  }
});

Deno.test("UrlTransport asks for another answer when the agent does not take one", async () => {
  let sends = 0;
  const refusal = { jsonrpc: "2.0", id: 2, error: { code: -32602, message: "not a colour" } };
  await using server = await startA2aServer({
    binding: "JSONRPC",
    version: "1.0",
    streaming: false,
    before: (request) => isSend(request) && ++sends === 2 ? { status: 200, body: refusal } : undefined,
  });
  await using rig = await startUrlRig();
  const { taskId } = await rig.send(server.url, "ask me");
  const asked = await rig.until(taskId, "input_required");
  await rig.send(server.url, "a fish", { taskId });
  for await (
    const { status, generation } of rig.engine.subscribe(taskId, { afterGeneration: asked.generation })
  ) {
    if (status === "input_required" && generation > asked.generation) break;
  }
  assert.match(textsOf((await rig.engine.getTask(taskId)).messages).at(-1) ?? "", /not a colour/);
  await rig.send(server.url, "the red one", { taskId });
  assert.equal((await rig.until(taskId)).status, "completed");
});

Deno.test("UrlTransport reaches no address that is not public unless it is allowed", async () => {
  await using rig = await startUrlRig();
  for (const url of ["http://[::1]:1/", "http://169.254.169.254/", "http://10.0.0.1/"]) {
    const task = await rig.until((await rig.send(url, "echo")).taskId);
    assert.equal(task.status, "rejected");
    assert.match(task.errorMessage, /not public.*outbound.allow/);
  }
});

Deno.test("UrlTransport sends again what may have arrived to an agent that takes a message once", async () => {
  let broken = 0;
  await using server = await startA2aServer({
    binding: "JSONRPC",
    version: "1.0",
    before: (request) => isSend(request) && broken++ === 0 ? "break" : undefined,
    card: (url) => ({
      name: "Once",
      capabilities: { streaming: true, extensions: [{ uri: IDEMPOTENT_SEND }] },
      supportedInterfaces: [{ url: `${url}/a2a`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
    }),
  });
  await using rig = await startUrlRig();
  const task = await rig.until((await rig.send(server.url, "echo again")).taskId);
  assert.equal(task.status, "completed", task.errorMessage);
  assert.deepEqual(server.agent.executed, ["echo again"]);
});

Deno.test("UrlTransport keeps few streams open to an agent, and follows many tasks all the same", async () => {
  await using server = await startA2aServer({ binding: "JSONRPC", version: "1.0" });
  await using rig = await startUrlRig({ maxStreamsPerAgent: 2 });
  const sent = await Promise.all(Array.from({ length: 100 }, () => rig.send(server.url, "wait")));
  await untilHolds(() => server.agent.executed.length === sent.length);
  const streams = server.requests.filter(({ method }) => method === "SendStreamingMessage").length;
  assert.equal(streams, 2);
  server.agent.release();
  const ended = await Promise.all(sent.map(({ taskId }) => rig.until(taskId)));
  assert.deepEqual([...new Set(ended.map(({ status }) => status))], ["completed"]);
  assert.equal(server.agent.executed.length, sent.length);
});
