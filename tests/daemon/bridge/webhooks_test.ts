import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fromDidKey, publicKeyFromPeerId, verifyBytes } from "../../../identity/mod.ts";
import { WebhookCaller } from "../../../daemon/a2a_api/push/webhook_caller.ts";
import type { Webhook } from "../../../daemon/a2a_api/push/webhook_record.ts";
import { createSafeFetch } from "../../../http/mod.ts";
import { createIdentity } from "../../../identity/mod.ts";
import { runInProcess } from "../../cli/cli_harness.ts";
import { bridgeSteps } from "../../support/bridge_steps.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { type Json, message, startTestBridge } from "../../support/test_bridge.ts";
import { type ReceivedNotification, startWebhookReceiver } from "../../support/webhook_receiver.ts";

const webhooks = bridgeSteps("the bridge tells webhooks how a task goes on", (bridge) => bridge);

webhooks.step("one that comes with the message, with its token and a signature", async ({ rpc, node }) => {
  await using receiver = await startWebhookReceiver();
  const config = {
    url: receiver.url,
    token: "t0ken",
    authentication: { scheme: "Bearer", credentials: "c" },
  };
  const sent = message("input-required", {}, { taskPushNotificationConfig: config });
  const { task } = (await rpc("SendMessage", sent)).json.result;
  await rpc("SendMessage", message("answer", { taskId: task.id }));
  const seen: ReceivedNotification[] = [];
  do seen.push(await receiver.next()); while (!/COMPLETED/.test(seen.at(-1)!.text));
  const states = seen.flatMap(({ text }) => JSON.parse(text).statusUpdate?.status.state ?? []);
  assert.equal(states.at(-1), "TASK_STATE_COMPLETED");
  assert.ok(
    seen.some(({ text }) => JSON.parse(text).artifactUpdate?.artifact.parts[0].text === "Echo: answer"),
  );
  const { headers, text } = seen[0]!;
  assert.deepEqual(
    [headers.get("authorization"), headers.get("x-a2a-notification-token"), headers.get("content-type")],
    ["Bearer c", "t0ken", "application/a2a+json"],
  );
  const signed = `${headers.get("webhook-id")}.${headers.get("webhook-timestamp")}.${text}`;
  const signature = Buffer.from(headers.get("webhook-signature")!.replace("v1a,", ""), "base64");
  const key = publicKeyFromPeerId(fromDidKey(node.daemon.didKey));
  assert.ok(verifyBytes(key, Buffer.from(signed), signature));
  assert.equal(new Set(seen.map((one) => one.headers.get("webhook-id"))).size, seen.length);
});

webhooks.step("one of A2A 0.3 is told the whole task", async ({ rpc }) => {
  await using receiver = await startWebhookReceiver();
  const parts = [{ kind: "text", text: "input-required" }];
  const asked = { message: { role: "user", messageId: crypto.randomUUID(), parts } };
  const { id } = (await rpc("message/send", asked, {})).json.result;
  const pushNotificationConfig = { url: receiver.url };
  await rpc("tasks/pushNotificationConfig/set", { taskId: id, pushNotificationConfig }, {});
  await rpc("SendMessage", message("answer", { taskId: id }));
  const told = JSON.parse((await receiver.next()).text);
  assert.deepEqual([told.kind, told.id], ["task", id]);
});

webhooks.step("one that is deleted is told nothing more", async ({ rpc }) => {
  await using receiver = await startWebhookReceiver();
  await using other = await startWebhookReceiver();
  const { id } = (await rpc("SendMessage", message("input-required"))).json.result.task;
  await rpc("CreateTaskPushNotificationConfig", { taskId: id, id: "gone", url: receiver.url });
  await rpc("CreateTaskPushNotificationConfig", { taskId: id, id: "kept", url: other.url });
  await rpc("DeleteTaskPushNotificationConfig", { taskId: id, id: "gone" });
  await rpc("SendMessage", message("answer", { taskId: id }));
  while (!/COMPLETED/.test((await other.next()).text));
  assert.equal(receiver.count, 0);
});

webhooks.step("one that is set by several at once is told once", async ({ rpc }) => {
  await using receiver = await startWebhookReceiver();
  const { id } = (await rpc("SendMessage", message("input-required"))).json.result.task;
  const config = { taskId: id, id: "c", url: receiver.url };
  await Promise.all(
    Array.from({ length: 8 }, () => rpc("CreateTaskPushNotificationConfig", config)),
  );
  await rpc("SendMessage", message("answer", { taskId: id }));
  const ids: (string | null)[] = [];
  let text = "";
  do {
    const told = await receiver.next();
    text = told.text;
    ids.push(told.headers.get("webhook-id"));
  } while (!/COMPLETED/.test(text));
  assert.equal(new Set(ids).size, ids.length);
});

webhooks.step("what cannot be called is refused at once", async ({ rpc }) => {
  const { id } = (await rpc("SendMessage", message("hi"))).json.result.task;
  const bad: Json[] = [
    { url: "" },
    { url: "file:///etc/passwd" },
    { url: "https://user:password@hooks.example/" },
    { url: "https://hooks.example/", token: "line\nbreak" },
    { url: "https://hooks.example/", authentication: { credentials: "x" } },
    { url: `https://hooks.example/${"x".repeat(5_000)}` },
  ];
  for (const config of bad) {
    const { json } = await rpc("CreateTaskPushNotificationConfig", { taskId: id, ...config });
    assert.equal(json.error?.code, -32602, JSON.stringify(config).slice(0, 80));
  }
});

Deno.test("the bridge does not call webhooks at addresses that are not public", async () => {
  await using receiver = await startWebhookReceiver();
  await using bridge = await startTestBridge({ flags: { "bridge-webhook-allow": "192.0.2.1" } });
  const { task } = (await bridge.rpc("SendMessage", message("input-required"))).json.result;
  const { json } = await bridge.rpc("CreateTaskPushNotificationConfig", {
    taskId: task.id,
    url: receiver.url,
  });
  assert.equal(json.error.code, -32602);
  assert.match(json.error.message, /not public/);
  assert.equal(receiver.count, 0);
});

Deno.test("webhooks are told after a restart of the daemon what happened meanwhile", async () => {
  await using home = await tempDir();
  await using receiver = await startWebhookReceiver({
    answer: (count) => new Response(null, { status: count === 0 ? 503 : 200 }),
  });
  let id = "";
  {
    await using bridge = await startTestBridge({ home: home.path });
    id = (await bridge.rpc("SendMessage", message("input-required"))).json.result.task.id;
    await bridge.rpc("CreateTaskPushNotificationConfig", { taskId: id, id: "c", url: receiver.url });
    await bridge.rpc("SendMessage", message("answer", { taskId: id }));
    await receiver.next(); // and is refused
  }
  await using bridge = await startTestBridge({ home: home.path });
  while (!/COMPLETED/.test((await receiver.next()).text));
  assert.equal(
    (await bridge.rpc("GetTaskPushNotificationConfig", { taskId: id, id: "c" })).json.result.url,
    receiver.url,
  );
});

const WEBHOOK: Webhook = {
  ...{ taskId: "t", id: "c", url: "", token: "", authScheme: "", authCredentials: "", version: "1.0" },
  ...{ caller: "http:a", toldGeneration: 0, deadReason: "", deadAtMs: 0 },
};

Deno.test("WebhookCaller.post() tries again until it is taken, and gives up where that is of no use", async () => {
  const answers = [500, 429, 200, 410];
  await using receiver = await startWebhookReceiver({
    answer: (count) => new Response(null, { status: answers[count] ?? 500 }),
  });
  using fetch = createSafeFetch({ allow: ["127.0.0.1"] });
  const caller = new WebhookCaller({ fetch, identity: createIdentity(new Uint8Array(32)) }, {
    firstPauseMs: 1,
  });
  const signal = new AbortController().signal;
  const webhook = { ...WEBHOOK, url: receiver.url };
  await caller.post(webhook, { messageId: "m", body: "{}", signal });
  assert.equal(receiver.count, 3);
  await assert.rejects(caller.post(webhook, { messageId: "m", body: "{}", signal }), /answered 410/);
  assert.equal(receiver.count, 4);
});

Deno.test("WebhookCaller.post() does not follow redirects", async () => {
  await using inner = await startWebhookReceiver();
  await using receiver = await startWebhookReceiver({
    answer: () => new Response(null, { status: 307, headers: { location: inner.url } }),
  });
  using fetch = createSafeFetch({ allow: ["127.0.0.1"], maxRedirects: 0 });
  const caller = new WebhookCaller({ fetch, identity: createIdentity(new Uint8Array(32)) }, {
    firstPauseMs: 1,
  });
  const { signal } = new AbortController();
  const posting = caller.post({ ...WEBHOOK, url: receiver.url }, { messageId: "m", body: "{}", signal });
  await assert.rejects(posting, /redirect/);
  assert.equal(inner.count, 0);
});

Deno.test("webhooks that were given up are listed by task list --dead", async () => {
  await using receiver = await startWebhookReceiver({ answer: () => new Response(null, { status: 410 }) });
  await using bridge = await startTestBridge();
  const list = () => runInProcess(["task", "list", "--dead", "--json", "--home", bridge.node.home]);
  assert.deepEqual(JSON.parse((await list()).stdout), []);
  const { task } = (await bridge.rpc("SendMessage", message("input-required"))).json.result;
  await bridge.rpc("CreateTaskPushNotificationConfig", { taskId: task.id, id: "c", url: receiver.url });
  await bridge.rpc("SendMessage", message("answer", { taskId: task.id }));
  await receiver.next();
  let dead: Json;
  // A daemon is asked anew each time, which takes a while; the webhook has answered already.
  for (let i = 0; i < 500 && dead === undefined; i++) [dead] = JSON.parse((await list()).stdout);
  assert.deepEqual([dead.taskId, dead.webhookId, dead.url], [task.id, "c", receiver.url]);
  assert.match(dead.reason, /answered 410/);
  const run = await runInProcess(["task", "list", "--dead", "--home", bridge.node.home]);
  assert.match(run.stdout, /WEBHOOK[^]*answered 410/);
});
