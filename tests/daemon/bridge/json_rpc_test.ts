import assert from "node:assert/strict";
import { ask, eventsOf, type Json, message, type TestBridge } from "../../support/test_bridge.ts";
import { bridgeSteps } from "../../support/bridge_steps.ts";

const NO_VERSION = {};

function toTools10({ rpc, url }: TestBridge) {
  const sendOne = async (text: string, more?: Json, configuration?: Json) =>
    (await rpc("SendMessage", message(text, more, configuration))).json.result.task;
  return { rpc, url, sendOne };
}

const v10 = bridgeSteps("the bridge speaks JSON-RPC of A2A 1.0", toTools10);

v10.step("SendMessage waits for the end and answers the task in ProtoJSON", async ({ rpc }) => {
  const { status, headers, json } = await rpc("SendMessage", message("hi", { contextId: "ctx-1" }));
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "application/json");
  assert.deepEqual([json.jsonrpc, json.id], ["2.0", 1]);
  const { task } = json.result;
  assert.equal(task.contextId, "ctx-1");
  assert.equal(task.status.state, "TASK_STATE_COMPLETED");
  assert.match(task.status.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(task.artifacts[0].parts, [{ text: "Echo: hi" }]);
  assert.equal(task.history[0].role, "ROLE_USER");
  assert.equal(task.history[0].taskId, task.id);
});

v10.step(
  "SendMessage answers at once when that is asked for, and when the agent waits for its caller",
  async ({ rpc, sendOne }) => {
    const held = await sendOne("hold", {}, { returnImmediately: true });
    assert.match(held.status.state, /SUBMITTED|WORKING/);
    const asked = await sendOne("input-required");
    assert.equal(asked.status.state, "TASK_STATE_INPUT_REQUIRED");
    assert.deepEqual(asked.status.message.parts, [{ text: "What else?" }]);
    assert.equal(asked.history.length, 1);
    assert.equal((await sendOne("auth-required")).status.state, "TASK_STATE_AUTH_REQUIRED");
    const failed = await sendOne("fail");
    assert.equal(failed.status.message.parts[0].text, "It went wrong");
    await rpc("CancelTask", { id: held.id });
  },
);

v10.step("historyLength bounds the history", async ({ rpc, sendOne }) => {
  const { id } = await sendOne("input-required");
  await sendOne("more", { taskId: id });
  const history = async (historyLength?: number) =>
    (await rpc("GetTask", { id, ...(historyLength !== undefined && { historyLength }) })).json.result
      .history;
  assert.equal((await history())?.length, 3);
  assert.deepEqual((await history(1)).map((one: Json) => one.parts[0].text), ["more"]);
  assert.equal(await history(0), undefined);
  assert.equal((await rpc("GetTask", { id, historyLength: -1 })).json.error.code, -32602);
  assert.equal((await sendOne("hi", {}, { historyLength: 0 })).history, undefined);
});

v10.step(
  "a message for a task goes on with it, and is refused where it does not fit",
  async ({ rpc, sendOne }) => {
    const { id, contextId } = await sendOne("input-required");
    const wrong = await rpc("SendMessage", message("x", { taskId: id, contextId: "another" }));
    assert.equal(wrong.json.error.code, -32602);
    const done = await sendOne("answer", { taskId: id });
    assert.deepEqual([done.id, done.contextId, done.status.state], [id, contextId, "TASK_STATE_COMPLETED"]);
    const late = await rpc("SendMessage", message("x", { taskId: id }));
    assert.equal(late.json.error.code, -32004);
    assert.equal(late.json.error.data[0].reason, "UNSUPPORTED_OPERATION");
    const none = await rpc("SendMessage", message("x", { taskId: "no-such-task" }));
    assert.equal(none.json.error.code, -32001);
  },
);

v10.step("the same message is the same task, until its caller has gone on with it", async ({ rpc }) => {
  const same = message("input-required");
  const first = (await rpc("SendMessage", same)).json.result.task;
  assert.equal((await rpc("SendMessage", same)).json.result.task.id, first.id);
  const [again, another] = await Promise.all([rpc("SendMessage", same), rpc("SendMessage", same)]);
  assert.deepEqual([again.json.result.task.id, another.json.result.task.id], [first.id, first.id]);
  const changed = { message: { ...same.message, parts: [{ text: "other" }] } };
  assert.notEqual((await rpc("SendMessage", changed)).json.result.task.id, first.id);
  await rpc("CancelTask", { id: first.id });
  assert.notEqual((await rpc("SendMessage", same)).json.result.task.id, first.id);
  const quick = message("hello", {}, { returnImmediately: true });
  const begun = (await rpc("SendMessage", quick)).json.result.task;
  const waited = (await rpc("SendMessage", { message: quick.message })).json.result.task;
  assert.deepEqual([waited.id, waited.status.state], [begun.id, "TASK_STATE_COMPLETED"]);
});

v10.step("parts of every kind arrive as they were sent, and come back", async ({ sendOne }) => {
  const parts = [
    { text: "parts" },
    { text: "named", filename: "a.txt", mediaType: "text/markdown", metadata: { n: 1, s: "x", l: [null] } },
    { raw: "AP8H", filename: "b.bin", mediaType: "application/octet-stream" },
    { url: "https://files.example/c.png", filename: "c.png", mediaType: "image/png" },
    { data: { a: [1, { b: null }] } },
    { data: [1, "two", null] },
    { data: "text" },
  ];
  const { status, history, artifacts } = await sendOne("", {
    parts,
    metadata: { trace: { deep: [true] } },
    extensions: ["https://ext.example/v1"],
    referenceTaskIds: ["earlier"],
  });
  assert.equal(status.state, "TASK_STATE_COMPLETED");
  assert.deepEqual(history[0].parts, parts);
  assert.deepEqual(history[0].metadata, { trace: { deep: [true] } });
  assert.deepEqual([history[0].extensions, history[0].referenceTaskIds], [["https://ext.example/v1"], [
    "earlier",
  ]]);
  assert.deepEqual(artifacts[0].parts.slice(2, 5), parts.slice(2, 5));
});

v10.step(
  "SendStreamingMessage tells the task first, then every change, and ends with the task",
  async ({ rpc }) => {
    const answer = await rpc("SendStreamingMessage", message("progress"));
    assert.match(answer.headers.get("content-type") ?? "", /^text\/event-stream/);
    const results = eventsOf(answer).map(({ data }) => data.result);
    const kinds = results.map((one) => Object.keys(one)[0]);
    assert.deepEqual([kinds[0], ...kinds.slice(-2)], ["task", "artifactUpdate", "statusUpdate"]);
    const said = results.flatMap((one) => one.statusUpdate?.status.message?.parts[0].text ?? []);
    assert.deepEqual(said, ["Step 1", "Step 2"]);
    assert.equal(results.at(-2).artifactUpdate.lastChunk, true);
    assert.equal(results.at(-1).statusUpdate.status.state, "TASK_STATE_COMPLETED");
  },
);

v10.step(
  "SubscribeToTask tells all subscribers the same, and who comes back what it missed",
  async ({ rpc, url, sendOne }) => {
    const { id } = await sendOne("input-required");
    const subscribe = () => rpc("SubscribeToTask", { id });
    const streams = [subscribe(), subscribe()];
    const leaving = new AbortController();
    const left = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "a2a-version": "1.0" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "SubscribeToTask", params: { id } }),
      signal: leaving.signal,
    });
    await left.body?.getReader().read();
    leaving.abort();
    await sendOne("answer", { taskId: id });
    const [one, two] = (await Promise.all(streams)).map(eventsOf);
    assert.deepEqual(one, two);
    assert.ok("task" in one![0]!.data.result);
    assert.equal(one!.at(-1)!.data.result.statusUpdate.status.state, "TASK_STATE_COMPLETED");
    const headers = { "a2a-version": "1.0", "last-event-id": "2" };
    const replayed = eventsOf(await rpc("SubscribeToTask", { id }, headers));
    assert.deepEqual(
      replayed.slice(1).map((event) => Number(event.id) > 2),
      replayed.slice(1).map(() => true),
    );
    const over = await rpc("SubscribeToTask", { id });
    assert.deepEqual([over.status, over.json.error.code], [200, -32004]);
    assert.equal((await rpc("SubscribeToTask", { id: "none" })).json.error.code, -32001);
  },
);

v10.step("CancelTask ends a task once", async ({ rpc, sendOne }) => {
  const { id } = await sendOne("hold", {}, { returnImmediately: true });
  assert.equal((await rpc("CancelTask", { id })).json.result.status.state, "TASK_STATE_CANCELED");
  const again = await rpc("CancelTask", { id });
  assert.deepEqual([again.json.error.code, again.json.error.data[0].reason], [
    -32002,
    "TASK_NOT_CANCELABLE",
  ]);
  assert.equal((await rpc("CancelTask", { id: "none" })).json.error.code, -32001);
});

v10.step("ListTasks pages, filters and leaves out what was not asked for", async ({ rpc, sendOne }) => {
  for (let i = 0; i < 3; i++) await sendOne(`list ${i}`, { contextId: "listed" });
  const list = async (params: Json) => (await rpc("ListTasks", params)).json;
  const all = (await list({ contextId: "listed", includeArtifacts: true, historyLength: 0 })).result;
  assert.deepEqual([all.totalSize, all.pageSize, all.nextPageToken], [3, 50, ""]);
  assert.deepEqual(all.tasks.map((one: Json) => one.artifacts[0].parts[0].text), [
    "Echo: list 2",
    "Echo: list 1",
    "Echo: list 0",
  ]);
  const first = (await list({ contextId: "listed", pageSize: 2 })).result;
  assert.deepEqual([first.tasks.length, "artifacts" in first.tasks[0]], [2, false]);
  const second = (await list({ contextId: "listed", pageSize: 2, pageToken: first.nextPageToken })).result;
  assert.deepEqual([second.tasks.length, second.nextPageToken], [1, ""]);
  assert.equal((await list({ contextId: "none" })).result.totalSize, 0);
  const { timestamp } = all.tasks[0].status;
  assert.equal((await list({ contextId: "listed", statusTimestampAfter: timestamp })).result.totalSize, 1);
  assert.equal((await list({ contextId: "listed", status: "TASK_STATE_FAILED" })).result.totalSize, 0);
  for (
    const bad of [{ pageSize: 0 }, { pageSize: 101 }, { pageToken: "x" }, { status: "DONE" }, {
      historyLength: -1,
    }]
  ) {
    assert.equal((await list(bad)).error?.code, -32602, JSON.stringify(bad));
  }
});

v10.step("parameters that are wrong are refused and said to be", async ({ rpc }) => {
  const bad: [Json, number][] = [
    [{}, -32602],
    [{ message: { role: "ROLE_USER", parts: [{ text: "x" }] } }, -32602],
    [{ message: { messageId: "m", parts: [{ text: "x" }] } }, -32602],
    [{ message: { messageId: "m", role: "ROLE_AGENT", parts: [{ text: "x" }] } }, -32602],
    [{ message: { messageId: "m", role: "ROLE_USER", parts: [] } }, -32602],
    [{ message: { messageId: "m", role: "ROLE_USER", parts: [{}] } }, -32602],
    [{ message: { messageId: "m", role: "ROLE_USER", parts: "text" } }, -32602],
    [message("x", { parts: Array.from({ length: 1_001 }, () => ({ text: "x" })) }), -32602],
    [{ message: { messageId: "m", role: "ROLE_USER", parts: [{ url: "no url" }] } }, -32602],
    [message("x", { parts: [{ raw: "AA==", mediaType: "application/x-strange" }] }), -32005],
    [message("x", {}, { historyLength: -1 }), -32602],
    [message("x", {}, { taskPushNotificationConfig: { url: "ftp://a" } }), -32602],
  ];
  for (const [params, code] of bad) {
    assert.equal(
      (await rpc("SendMessage", params)).json.error?.code,
      code,
      JSON.stringify(params).slice(0, 200),
    );
  }
  assert.equal((await rpc("GetTask", {})).json.error.code, -32602);
  const unknown = { message: { ...message("hi").message, newField: 1 }, extra: { a: 1 } };
  assert.equal((await rpc("SendMessage", unknown)).json.result.task.status.state, "TASK_STATE_COMPLETED");
});

v10.step("what is no request of JSON-RPC is answered as the standard says", async ({ url }) => {
  const post = (body: string, type = "application/json") =>
    ask(url, { method: "POST", headers: { "content-type": type, "a2a-version": "1.0" }, body });
  const rows: [string, number, Json][] = [
    ['{"jsonrpc":"2.0"', -32700, null],
    ["[]", -32600, null],
    ["1", -32600, null],
    ['{"jsonrpc":"1.0","id":"a","method":"GetTask"}', -32600, "a"],
    ['{"jsonrpc":"2.0","id":2,"params":{}}', -32600, 2],
    ['{"jsonrpc":"2.0","id":{},"method":"GetTask"}', -32600, null],
    ['{"jsonrpc":"2.0","id":3,"method":"GetTask","params":[1]}', -32602, 3],
    ['{"jsonrpc":"2.0","id":4,"method":"NoSuchMethod","params":{}}', -32601, 4],
    [
      `{"jsonrpc":"2.0","id":5,"method":"GetTask","params":${"[".repeat(9_000)}${"]".repeat(9_000)}}`,
      -32600,
      null,
    ],
    [`{"jsonrpc":"2.0","id":6,"method":"GetTask","params":{"a":[${"{},".repeat(200_000)}{}]}}`, -32600, null],
  ];
  for (const [body, code, id] of rows) {
    const { status, json } = await post(body);
    assert.deepEqual(
      [status, json.jsonrpc, json.error.code, json.id],
      [200, "2.0", code, id],
      body.slice(0, 60),
    );
  }
  assert.equal((await post("{}", "text/plain")).json.error.code, -32005);
});

v10.step("the version decides, and without one the method", async ({ rpc }) => {
  const ids = { "a2a-version": "99.0" };
  assert.equal((await rpc("SendMessage", message("x"), ids)).json.error.code, -32009);
  assert.equal(
    (await rpc("SendMessage", message("x"), { "a2a-version": "1.0.7" })).json.result.task.status.state,
    "TASK_STATE_COMPLETED",
  );
  assert.ok("task" in (await rpc("SendMessage", message("x"), NO_VERSION)).json.result);
  assert.ok("task" in (await rpc("SendMessage", message("x"), { "a2a-version": "" })).json.result);
  assert.equal((await rpc("SendMessage", message("x"), { "a2a-version": "0.3" })).json.error.code, -32601);
  assert.equal((await rpc("message/send", message("x"), { "a2a-version": "1.0" })).json.error.code, -32601);
});

v10.step("the extended card is not there where nobody has to prove who he is", async ({ rpc }) => {
  const { error } = (await rpc("GetExtendedAgentCard", {})).json;
  assert.deepEqual([error.code, error.data[0].reason], [-32004, "UNSUPPORTED_OPERATION"]);
});

v10.step("pages of other origins are refused", async ({ rpc }) => {
  const headers = { "a2a-version": "1.0", origin: "https://evil.example" };
  assert.equal((await rpc("SendMessage", message("x"), headers)).status, 403);
});

function toTools03(bridge: TestBridge) {
  return { bridge, rpc: (method: string, params: Json) => bridge.rpc(method, params, NO_VERSION) };
}

/** Parameters that send a text in A2A 0.3. */
function send(text: string, more?: Json, configuration?: Json): Json {
  const parts = [{ kind: "text", text }];
  return {
    message: { kind: "message", role: "user", messageId: crypto.randomUUID(), parts, ...more },
    ...(configuration !== undefined && { configuration }),
  };
}

const v03 = bridgeSteps("the bridge speaks JSON-RPC of A2A 0.3 and of the dialect before it", toTools03);

v03.step("message/send, tasks/get and tasks/cancel", async ({ rpc }) => {
  const { result } = (await rpc("message/send", send("hi"))).json;
  assert.deepEqual([result.kind, result.status.state], ["task", "completed"]);
  assert.deepEqual(result.artifacts[0].parts, [{ kind: "text", text: "Echo: hi" }]);
  assert.deepEqual([result.history[0].kind, result.history[0].role], ["message", "user"]);
  const got = (await rpc("tasks/get", { id: result.id, historyLength: 0 })).json.result;
  assert.deepEqual([got.id, got.history], [result.id, undefined]);
  const held = (await rpc("message/send", send("hold", {}, { blocking: false }))).json.result;
  assert.match(held.status.state, /submitted|working/);
  assert.equal((await rpc("tasks/cancel", { id: held.id })).json.result.status.state, "canceled");
  assert.equal((await rpc("tasks/cancel", { id: held.id })).json.error.code, -32002);
  assert.equal((await rpc("tasks/get", { id: "none" })).json.error.code, -32001);
  assert.equal((await rpc("message/send", { message: { kind: "message" } })).json.error.code, -32602);
});

v03.step("message/stream and tasks/resubscribe say which event is the last", async ({ rpc }) => {
  const events = eventsOf(await rpc("message/stream", send("progress"))).map(({ data }) => data.result);
  assert.deepEqual(events.map(({ kind }) => kind).slice(-3), [
    "status-update",
    "artifact-update",
    "status-update",
  ]);
  assert.deepEqual(events.filter(({ final }) => final).length, 1);
  assert.equal(events.at(-1).final, true);
  const asked = eventsOf(await rpc("message/stream", send("input-required"))).at(-1)!.data.result;
  assert.deepEqual([asked.status.state, asked.final], ["input-required", true]);
  const following = rpc("tasks/resubscribe", { id: asked.taskId });
  await rpc("message/send", send("answer", { taskId: asked.taskId }));
  assert.equal(eventsOf(await following).at(-1)!.data.result.status.state, "completed");
});

v03.step("files and data", async ({ rpc }) => {
  const parts = [
    { kind: "text", text: "parts" },
    { kind: "file", file: { bytes: "AP8H", mimeType: "application/octet-stream", name: "b.bin" } },
    { kind: "file", file: { uri: "https://files.example/c.png", mimeType: "image/png" } },
    { kind: "data", data: { a: 1 }, metadata: { m: true } },
  ];
  const { result } = (await rpc("message/send", send("", { parts }))).json;
  assert.deepEqual(result.history[0].parts, parts);
  const strange = send("", { parts: [{ kind: "video", video: 1 }] });
  assert.equal((await rpc("message/send", strange)).json.error.code, -32602);
});

v03.step("webhooks", async ({ rpc }) => {
  const { id } = (await rpc("message/send", send("hi"))).json.result;
  const pushNotificationConfig = {
    id: "c1",
    url: "https://hooks.example/a",
    token: "t",
    authentication: { schemes: ["Bearer"], credentials: "c" },
  };
  const set = (await rpc("tasks/pushNotificationConfig/set", { taskId: id, pushNotificationConfig })).json;
  assert.deepEqual(set.result, { taskId: id, pushNotificationConfig });
  const got = await rpc("tasks/pushNotificationConfig/get", { id, pushNotificationConfigId: "c1" });
  assert.deepEqual(got.json.result, set.result);
  assert.deepEqual((await rpc("tasks/pushNotificationConfig/get", { id })).json.result, set.result);
  assert.deepEqual((await rpc("tasks/pushNotificationConfig/list", { id })).json.result, [set.result]);
  const params = { id, pushNotificationConfigId: "c1" };
  assert.equal((await rpc("tasks/pushNotificationConfig/delete", params)).json.result, null);
  assert.equal((await rpc("tasks/pushNotificationConfig/get", params)).json.error.code, -32001);
});

v03.step("tasks/send on any path, also for a skill", async ({ bridge, rpc }) => {
  const params = { id: "once", message: { role: "user", parts: [{ type: "text", text: "old" }] } };
  const [one, two] = [await bridge.rpcAt("/a2a", "tasks/send", params), await rpc("tasks/send", params)];
  assert.equal(one.json.error.code, -32601, "a method of another version");
  assert.deepEqual([two.json.result.status, two.json.result.artifacts[0].parts], ["completed", [{
    type: "text",
    text: "Echo: old",
  }]]);
  const again = await ask(`${bridge.url}/any/path`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 9,
      method: "tasks/send",
      params: { ...params, target_skill_id: "echo" },
    }),
  });
  assert.equal(again.json.result.status, "completed");
});
