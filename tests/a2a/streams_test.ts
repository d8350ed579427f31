import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { StreamEvent } from "../../a2a/streams/stream_event.ts";
import type { ReceiverMessage, SenderMessage } from "../../a2a/streams/stream_ports.ts";
import { CodedError } from "../../core/errors.ts";
import {
  brief,
  chunksOf,
  endOf,
  eventsOf,
  Feed,
  from,
  never,
  read,
  settle,
  startOf,
  StreamNet,
} from "./stream_net.ts";

const iterate = (net: StreamNet, taskId = "task") =>
  net.originator.subscribe(taskId, { signal: never })[Symbol.asyncIterator]();
const sha256 = (text: string) => new Uint8Array(createHash("sha256").update(text).digest());
const codeOf = (code: string, text?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CodedError);
  assert.equal(error.code, code, error.message);
  if (text !== undefined) assert.match(error.message, text);
  return true;
};

Deno.test("send() brings artifacts to every subscriber in order and into the end of the task", async () => {
  await using net = new StreamNet();
  const early = iterate(net);
  const first = read(early);
  await net.assignee.send(from([...eventsOf(["a", "bc"]), ...eventsOf(["x"], { artifactId: "two" })]), {
    signal: never,
  });
  const references = net.assignee.references("task");
  assert.deepEqual(
    references.map(({ artifactId, name, parts }) => [artifactId, name, parts[0]?.metadata.bytes]),
    [
      ["one", "one.txt", "3"],
      ["two", "two.txt", "1"],
    ],
  );
  const resolved = await net.originator.resolve("task", references);
  assert.deepEqual(
    resolved.map(({ parts }) => parts[0]?.content),
    [
      { kind: "raw", data: new TextEncoder().encode("abc"), filename: "one.txt" },
      { kind: "raw", data: new TextEncoder().encode("x"), filename: "two.txt" },
    ],
  );
  net.originatorTasks.end("task", "completed");
  const expected = ["start one", "0 a", "1 bc", "end complete", "start two", "0 x", "end complete"];
  assert.deepEqual((await first).toSorted(), expected.toSorted());
  assert.deepEqual((await read(iterate(net))).toSorted(), expected.toSorted());
});

Deno.test("resolve() answers a large artifact as the URL of its file and marks what is not whole", async () => {
  await using net = new StreamNet({ maxInlineBytes: 2 });
  await net.assignee.send(from(eventsOf(["abc"])), { signal: never });
  const [reference] = net.assignee.references("task");
  assert.ok(reference);
  const lost = { ...reference, artifactId: "lost" };
  const plain = {
    artifactId: "plain",
    name: "",
    parts: [{ content: { kind: "text", text: "t" }, mediaType: "", metadata: {} }],
  } as const;
  const [whole, missing, same] = await net.originator.resolve("task", [reference, lost, plain]);
  assert.deepEqual(whole?.parts[0]?.content, {
    kind: "url",
    url: "file:///artifacts/one.data",
    filename: "one.txt",
  });
  assert.equal(missing?.parts[0]?.metadata.incomplete, "true");
  assert.deepEqual(same, plain);
  const [added] = await net.originator.resolve("task", []);
  assert.equal(added?.artifactId, "one", "an artifact that nothing stands for is not lost");
});

Deno.test("resolve() answers bytes for a caller of this node, as far as they fit in its task", async () => {
  await using net = new StreamNet({ maxInlineBytes: 2, maxCollectedBytes: 4 });
  net.originatorTasks.add("task", { direction: "outbound", peerId: "assignee", caller: "http:alice" });
  await net.assignee.send(from(eventsOf(["abc"])), { signal: never });
  const [fits] = await net.originator.resolve("task", []);
  assert.equal(fits?.parts[0]?.content.kind, "raw");
  await net.assignee.send(from(eventsOf(["de"], { artifactId: "two" })), { signal: never });
  const both = await net.originator.resolve("task", []);
  assert.deepEqual(both.map(({ parts }) => parts[0]?.content.kind), ["url", "raw"]);
});

for (
  const [name, sequences] of [["a gap", [0, 2]], ["a repetition", [0, 0]], ["a late beginning", [1]]] as const
) {
  Deno.test(`send() refuses ${name} in the sequence`, async () => {
    await using net = new StreamNet();
    const chunks = sequences.map((sequence) => chunksOf(["a"], { from: sequence })[0]!);
    await assert.rejects(
      net.assignee.send(from([startOf(), ...chunks, endOf("complete")]), { signal: never }),
      codeOf("out_of_range"),
    );
    await settle();
    assert.equal(net.spool.files.size, 0, "what arrived is removed");
  });
}

Deno.test("send() refuses what is no stream and tasks that are not received or have ended", async () => {
  await using net = new StreamNet({ maxChunkBytes: 2 });
  const send = (...events: StreamEvent[]) => net.assignee.send(from(events), { signal: never });
  await assert.rejects(send(...chunksOf(["a"])), codeOf("invalid_argument"));
  await assert.rejects(send(startOf(), startOf("two")), codeOf("invalid_argument"));
  await assert.rejects(
    send(startOf(), ...chunksOf(["a"], { artifactId: "two" })),
    codeOf("invalid_argument"),
  );
  await assert.rejects(send(startOf(), ...chunksOf(["abc"])), codeOf("resource_exhausted"));
  await assert.rejects(send(startOf()), codeOf("cancelled"));
  await assert.rejects(send(startOf("one", "nobody's")), codeOf("not_found"));
  await assert.rejects(net.originator.send(from([startOf()]), { signal: never }), codeOf("not_found"));
  net.assigneeTasks.end("task", "completed");
  await assert.rejects(send(startOf()), codeOf("failed_precondition", /completed/));
});

Deno.test("send() fails with data_loss when the announced hash is another one", async () => {
  await using net = new StreamNet();
  const events = iterate(net);
  const wrong = new Feed();
  wrong.push(startOf(), ...chunksOf(["abc"]));
  const rejected = assert.rejects(net.assignee.send(wrong, { signal: never }), codeOf("data_loss"));
  assert.deepEqual(await read(events, 2), ["start one", "0 abc"]);
  wrong.push(endOf("complete", { sha256: sha256("abd") }));
  await rejected;
  assert.deepEqual(await read(events, 1), ["end error"]);
  const right = [startOf(), ...chunksOf(["abc"]), endOf("complete", { sha256: sha256("abc") })];
  await net.assignee.send(from(right), { signal: never });
});

Deno.test("send() takes an announced hash that is a Buffer, as calls bring it", async () => {
  await using net = new StreamNet();
  const end = endOf("complete", { sha256: Buffer.from(sha256("abc")) });
  await net.assignee.send(from([startOf(), ...chunksOf(["abc"]), end]), { signal: never });
});

Deno.test("accept() fails a stream with data_loss when its bytes changed on the way", async () => {
  await using net = new StreamNet();
  net.tap = (message) => {
    if (message.type === "chunk") message.data[0]! ^= 1;
  };
  await assert.rejects(net.assignee.send(from(eventsOf(["abc"])), { signal: never }), codeOf("data_loss"));
  await settle();
  assert.equal(net.spool.files.size, 0);
});

Deno.test("send() stops taking events within two windows of a subscriber that does not read", async () => {
  const windowBytes = 10_000;
  await using net = new StreamNet({ windowBytes, maxChunkBytes: 1000 });
  const reader = iterate(net);
  const feed = new Feed();
  const first = reader.next();
  feed.push(startOf(), ...chunksOf(Array(100).fill("x".repeat(1000))), endOf("complete"));
  feed.end();
  const sending = net.assignee.send(feed, { signal: never });
  assert.equal(brief((await first).value), "start one");
  await settle(50);
  assert.ok(feed.taken >= windowBytes / 1064, `${feed.taken} were taken`);
  assert.ok(feed.taken <= 2 + 2 * windowBytes / 1000, `${feed.taken} were taken`);
  assert.equal((await read(reader, 101)).length, 101);
  await sending;
});

Deno.test("send() is not held up without subscribers, nor by one that has left", async () => {
  await using net = new StreamNet({ windowBytes: 2000, maxChunkBytes: 1000 });
  const reader = iterate(net);
  const first = reader.next();
  const sending = net.assignee.send(from(eventsOf(Array(50).fill("x".repeat(1000)))), { signal: never });
  await first;
  await settle();
  await reader.return?.();
  await sending;
});

Deno.test("send() keeps chunks until they are on disk", async () => {
  await using net = new StreamNet({ windowBytes: 3000, maxChunkBytes: 1000 });
  const held = Promise.withResolvers<void>();
  net.spool.held = held.promise;
  const feed = new Feed();
  feed.push(startOf(), ...chunksOf(Array(20).fill("x".repeat(1000))), endOf("complete"));
  feed.end();
  const sending = net.assignee.send(feed, { signal: never });
  await settle(50);
  assert.ok(feed.taken <= 5, `${feed.taken} were taken`);
  held.resolve();
  await sending;
});

/** Sends a small artifact over links of which the n-th message cuts the channel; answers how many messages passed. */
async function sendWithCut(at: number): Promise<{ count: number; seen: string[] }> {
  await using net = new StreamNet({ windowBytes: 70, maxChunkBytes: 2 });
  let count = 0;
  net.tap = () => {
    if (count++ === at) throw new CodedError("unavailable", "The link was cut");
  };
  const events = read(iterate(net));
  const sending = net.assignee.send(from(eventsOf(["a", "b", "c", "d"])), { signal: never });
  let sent = false;
  void sending.then(() => sent = true, () => sent = true);
  while (!sent) {
    await settle(5);
    // Whatever waits for its next try gets it; the timers of the stream itself are longer.
    net.clock.advance(500);
  }
  await sending;
  net.originatorTasks.end("task", "completed");
  const [artifact] = await net.originator.resolve("task", net.assignee.references("task"));
  assert.deepEqual(artifact?.parts[0]?.content, {
    kind: "raw",
    data: new TextEncoder().encode("abcd"),
    filename: "one.txt",
  });
  return { count, seen: await events };
}

Deno.test("send() goes on after a cut at each message of a small stream", async () => {
  const whole = await sendWithCut(-1);
  assert.ok(whole.count >= 10, `${whole.count} messages`);
  for (let at = 0; at < whole.count; at++) {
    const { seen } = await sendWithCut(at);
    assert.deepEqual(seen, ["start one", "0 a", "1 b", "2 c", "3 d", "end complete"], `cut at message ${at}`);
  }
});

Deno.test("send() goes on after the receiver was restarted in the middle", async () => {
  await using net = new StreamNet();
  const feed = new Feed();
  feed.push(startOf(), ...chunksOf(["a", "b"]));
  const sending = net.assignee.send(feed, { signal: never });
  await settle();
  const held = Promise.withResolvers<void>();
  net.spool.held = held.promise; // c reaches the receiver and not its disk
  feed.push(...chunksOf(["c"], { from: 2 }));
  await settle();
  const restarting = net.restartOriginator();
  held.resolve();
  await restarting;
  const events = read(iterate(net));
  feed.push(...chunksOf(["d"], { from: 3 }), endOf("complete"));
  feed.end();
  await settle();
  net.clock.advance(500);
  await sending;
  net.originatorTasks.end("task", "completed");
  assert.deepEqual(await events, ["start one", "0 a", "1 b", "2 c", "3 d", "end complete"]);
});

Deno.test("send() fails with data_loss when the receiver has lost what it had acknowledged", async () => {
  await using net = new StreamNet();
  const feed = new Feed();
  feed.push(startOf(), ...chunksOf(["a"]));
  const rejected = assert.rejects(net.assignee.send(feed, { signal: never }), codeOf("data_loss"));
  await settle();
  net.cut();
  await net.originator.deleteTask("task");
  await settle();
  net.clock.advance(500);
  await rejected;
});

Deno.test("an end other than complete reaches the subscribers and removes what is on disk", async () => {
  for (const reason of ["canceled", "error"] as const) {
    await using net = new StreamNet();
    const events = iterate(net);
    const feed = new Feed();
    feed.push(startOf(), ...chunksOf(["a"]));
    const sending = net.assignee.send(feed, { signal: never });
    assert.deepEqual(await read(events, 2), ["start one", "0 a"]);
    feed.push(endOf(reason, { errorMessage: "Out of ideas" }));
    feed.end();
    await sending;
    const { value: end } = await events.next();
    assert.deepEqual([end.kind, end.reason, end.errorMessage], ["end", reason, "Out of ideas"]);
    assert.equal(net.spool.files.size, 0);
    assert.deepEqual(net.assignee.references("task"), []);
  }
});

Deno.test("a cancelled call ends the stream for the subscribers, also when the link is down just then", async () => {
  await using net = new StreamNet();
  const events = iterate(net);
  const feed = new Feed();
  feed.push(startOf(), ...chunksOf(["a"]));
  const call = new AbortController();
  const sending = net.assignee.send(feed, { signal: call.signal });
  assert.deepEqual(await read(events, 2), ["start one", "0 a"]);
  net.cut();
  call.abort(new CodedError("cancelled", "The call was cancelled"));
  await assert.rejects(sending, codeOf("cancelled"));
  await settle();
  net.clock.advance(500);
  assert.deepEqual(await read(events, 1), ["end canceled"]);
});

Deno.test("a task that ends fails the sender with its state and ends the stream for the subscribers", async () => {
  for (const side of ["originatorTasks", "assigneeTasks"] as const) {
    await using net = new StreamNet();
    const events = iterate(net);
    const feed = new Feed();
    feed.push(startOf(), ...chunksOf(["a"]));
    const rejected = assert.rejects(
      net.assignee.send(feed, { signal: never }),
      codeOf("cancelled", /canceled/),
    );
    assert.deepEqual(await read(events, 2), ["start one", "0 a"]);
    net[side].end("task", "canceled");
    await rejected;
    if (side === "assigneeTasks") net.originatorTasks.end("task", "canceled");
    assert.deepEqual(await read(events), ["end error"]);
    assert.equal(net.spool.files.size, 0);
  }
});

Deno.test("an artifact that starts anew starts again for the subscribers", async () => {
  await using net = new StreamNet();
  const events = iterate(net);
  const call = new AbortController();
  const feed = new Feed();
  feed.push(startOf(), ...chunksOf(["old"]));
  const sending = net.assignee.send(feed, { signal: call.signal });
  assert.deepEqual(await read(events, 2), ["start one", "0 old"]);
  await assert.rejects(net.assignee.send(from(eventsOf(["x"])), { signal: never }), codeOf("already_exists"));
  net.refusal = new CodedError("unavailable", "The peer is gone");
  net.cut();
  call.abort(new CodedError("cancelled", "The agent died"));
  await assert.rejects(sending, codeOf("cancelled"));
  net.refusal = undefined;
  await net.assignee.send(from(eventsOf(["new"])), { signal: never });
  net.originatorTasks.end("task", "completed");
  assert.deepEqual(await read(events), ["start one", "0 new", "end complete"]);
});

Deno.test("a disk that fails ends the stream with its code on both sides", async () => {
  for (const on of ["create", "append", "flush"] as const) {
    await using net = new StreamNet();
    net.spool.fault = { on, error: new CodedError("resource_exhausted", "The disk is full") };
    await assert.rejects(
      net.assignee.send(from(eventsOf(["a", "b"])), { signal: never }),
      codeOf("resource_exhausted", /disk is full/),
    );
    await settle();
    assert.equal(net.spool.files.size, 0, on);
  }
});

Deno.test("artifacts for a peer that takes no streams travel with the end of the task, up to a bound", async () => {
  await using net = new StreamNet({ maxCollectedBytes: 5 });
  net.refusal = new CodedError("unimplemented", "The peer does not speak the protocol");
  await net.assignee.send(from(eventsOf(["ab", "c"])), { signal: never });
  const [artifact] = net.assignee.references("task");
  assert.deepEqual(artifact?.parts[0]?.content, {
    kind: "raw",
    data: new TextEncoder().encode("abc"),
    filename: "one.txt",
  });
  const more = eventsOf(["abc"], { artifactId: "two" });
  const refused = codeOf("resource_exhausted", /does not take streams/);
  await assert.rejects(net.assignee.send(from(more), { signal: never }), refused);
  await assert.rejects(
    net.assignee.send(from(eventsOf(["abcdef"], { artifactId: "three" })), { signal: never }),
    refused,
  );
  assert.equal(net.assignee.references("task").length, 1);
});

Deno.test("streams of a task and of a peer are bounded on both sides", async () => {
  await using net = new StreamNet({ maxOpenPerTask: 2, maxOpenPerPeer: 3 });
  net.addTask("other");
  const open = (artifactId: string, taskId = "task") => {
    const feed = new Feed();
    feed.push(startOf(artifactId, taskId));
    return net.assignee.send(feed, { signal: never });
  };
  const sending = [open("one"), open("two"), open("one", "other")];
  await settle();
  await assert.rejects(open("three"), codeOf("resource_exhausted"));
  await assert.rejects(open("two", "other"), codeOf("resource_exhausted"));
  assert.equal(
    await hostile(net, [{ type: "open", start: startOf("four"), streamId: "f" }]),
    "resource_exhausted",
  );
  net.assigneeTasks.end("task", "canceled");
  net.assigneeTasks.end("other", "canceled");
  for (const one of sending) await assert.rejects(one, codeOf("cancelled"));
});

/** The refusal that a peer gets who sends these messages. */
async function hostile(
  net: StreamNet,
  messages: readonly SenderMessage[],
  peer = "assignee",
): Promise<string> {
  const channel = net.connect(peer);
  const answers: ReceiverMessage[] = [];
  const reading = (async () => {
    for await (const answer of channel.messages()) answers.push(answer);
  })();
  for (const message of messages) await channel.send(message).catch(() => {});
  await reading;
  await channel.close();
  const last = answers.at(-1);
  return last?.type === "refused" ? last.code : String(last?.type);
}

Deno.test("accept() refuses what a peer has no right to or does not understand", async () => {
  await using net = new StreamNet({ windowBytes: 1000, maxChunkBytes: 100 });
  const open = { type: "open", start: startOf(), streamId: "s" } as const;
  const chunk = (sequence: number, size: number) =>
    ({ type: "chunk", sequence, data: new Uint8Array(size), isLast: false }) as const;
  assert.equal(await hostile(net, [open], "stranger"), "not_found");
  assert.equal(await hostile(net, [{ ...open, start: startOf("one", "none") }]), "not_found");
  assert.equal(await hostile(net, [{ ...open, start: startOf("") }]), "invalid_argument");
  assert.equal(await hostile(net, [chunk(0, 1)]), "invalid_argument");
  assert.equal(await hostile(net, [open, open]), "invalid_argument");
  assert.equal(await hostile(net, [{ ...open, streamId: "t" }, chunk(1, 1)]), "out_of_range");
  assert.equal(await hostile(net, [{ ...open, streamId: "u" }, chunk(0, 101)]), "resource_exhausted");
  const held = Promise.withResolvers<void>();
  net.spool.held = held.promise;
  const flood = Array.from({ length: 50 }, (_, at) => chunk(at, 0));
  const flooding = hostile(net, [{ ...open, streamId: "v" }, ...flood]);
  await settle();
  held.resolve();
  assert.equal(await flooding, "resource_exhausted", "a peer that ignores the window is stopped");
});

Deno.test("accept() gives up on a channel that says nothing", async () => {
  await using net = new StreamNet({ openTimeoutMs: 1000 });
  const refused = hostile(net, []);
  await settle();
  net.clock.advance(1001);
  assert.equal(await refused, "deadline_exceeded");
});

Deno.test("subscribe() refuses unknown and received tasks and one subscriber too many", async () => {
  await using net = new StreamNet({ maxSubscribersPerTask: 1 });
  await assert.rejects(iterate(net, "none").next(), codeOf("not_found"));
  const received = net.assignee.subscribe("task", { signal: never })[Symbol.asyncIterator]();
  await assert.rejects(received.next(), codeOf("failed_precondition"));
  const first = iterate(net);
  const ended = first.next();
  await settle();
  await assert.rejects(iterate(net).next(), codeOf("resource_exhausted"));
  net.originatorTasks.end("task", "completed");
  assert.equal((await ended).done, true);
});

Deno.test("deleteTask() ends subscriptions and removes what is on disk", async () => {
  await using net = new StreamNet();
  await net.assignee.send(from(eventsOf(["a"])), { signal: never });
  const events = iterate(net);
  assert.deepEqual(await read(events, 3), ["start one", "0 a", "end complete"]);
  const ended = assert.rejects(events.next(), codeOf("not_found"));
  await net.originator.deleteTask("task");
  await ended;
  assert.equal(net.spool.files.size, 0);
});

Deno.test("what comes soon after a flush waits for more, until there is much of it, a while has passed or the end comes", async () => {
  await using net = new StreamNet({ flushBytes: 1000 });
  const acknowledged: number[] = [];
  net.tap = (message) => {
    if (message.type === "acknowledged") acknowledged.push(message.nextSequence);
  };
  const feed = new Feed();
  const sent = net.assignee.send(feed, { signal: never });
  const give = async (from: number, ...texts: string[]) => {
    feed.push(...chunksOf(texts, { from }));
    await settle();
  };
  feed.push(startOf());
  await give(0, "a");
  assert.deepEqual(acknowledged, [1], "the first is flushed at once");
  await give(1, "b");
  assert.deepEqual(acknowledged, [1], "the next waits");
  net.clock.advance(5);
  await settle();
  assert.deepEqual(acknowledged, [1, 2]);
  await give(2, "x".repeat(1000));
  assert.deepEqual(acknowledged, [1, 2, 3], "much does not wait");
  await give(3, "c");
  feed.push(endOf("complete"));
  feed.end();
  await sent;
  assert.deepEqual([...net.spool.files.values()].map(({ chunks }) => chunks), [4]);
});
