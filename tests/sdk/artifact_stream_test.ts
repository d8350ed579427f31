// Results that are sent and read piece by piece.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CodedError } from "../../core/errors.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import type { SendStreamingArtifactRequest } from "../../gen/agentanycast/v1/node_service_pb.ts";
import { type StreamEnd, StreamEndReason } from "../../gen/agentanycast/v1/streaming_pb.ts";
import {
  type ArtifactInput,
  type ArtifactStream,
  Node,
  type SentArtifact,
  type TaskHandle,
} from "../../sdk/mod.ts";
import { FakeDaemon, type TaskInit, textPart } from "../support/fake_daemon.ts";
import { within } from "../support/patience.ts";
import { tempDir } from "../support/temp_dir.ts";

type Overrides = ConstructorParameters<typeof FakeDaemon>[0];

interface Setup extends AsyncDisposable {
  readonly daemon: FakeDaemon;
  readonly handle: TaskHandle;
  /** Sends `artifact` in a handler. */
  send(artifact: ArtifactInput): Promise<SentArtifact>;
}

/** A node that has sent the task `t`, and that handles incoming ones. */
async function setUp(overrides: Overrides = {}): Promise<Setup> {
  const daemon = await new FakeDaemon(overrides).start();
  const node = new Node({ daemonAddr: daemon.address });
  await node.start();
  const handle = await node.sendTask("do it", { skill: "s", taskId: "t" });
  const send = async (artifact: ArtifactInput) => {
    const sent = Promise.withResolvers<SentArtifact>();
    node.onTask((task) => task.sendArtifact(artifact).then(sent.resolve, sent.reject));
    await daemon.until(() => daemon.listeners === 1);
    daemon.deliver({ task: taskInit("in") });
    return await sent.promise;
  };
  const stop = async () => {
    await node.stop();
    await daemon.stop();
  };
  return { daemon, handle, send, [Symbol.asyncDispose]: stop };
}

const taskInit = (taskId: string): TaskInit => ({
  taskId,
  status: TaskStatus.SUBMITTED,
  messages: [{ messageId: "m", role: 1, parts: [textPart("x")] }],
});

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest());
const hashOf = (daemon: FakeDaemon) => new Uint8Array(endOf(daemon).sha256);
const bytesOf = (text: string) => new TextEncoder().encode(text);
const endOf = ({ uploads }: FakeDaemon) => uploads.at(-1)?.value as StreamEnd;

/** Tells `daemon` that artifact `artifactId` has begun. */
function begin(daemon: FakeDaemon, artifactId: string): void {
  const value = { taskId: "t", artifactId, artifactName: `${artifactId}.txt`, mediaType: "text/plain" };
  daemon.stream("t", { case: "streamStart", value });
}

function chunk(daemon: FakeDaemon, artifactId: string, sequence: number, data: string | Uint8Array): void {
  const bytes = typeof data === "string" ? bytesOf(data) : data;
  daemon.stream("t", { case: "streamChunk", value: { taskId: "t", artifactId, sequence, data: bytes } });
}

function end(
  daemon: FakeDaemon,
  artifactId: string,
  { reason = StreamEndReason.COMPLETE, ...facts }: {
    reason?: StreamEndReason;
    sha256?: Uint8Array;
    totalBytes?: bigint;
  } = {},
): void {
  daemon.stream("t", { case: "streamEnd", value: { taskId: "t", artifactId, reason, ...facts } });
}

async function firstOf(handle: TaskHandle): Promise<ArtifactStream> {
  for await (const stream of handle.streams()) return stream;
  throw new Error("No artifact came");
}

Deno.test("sendArtifact() sends a start, chunks of at most 256 KiB and an end with hash and length", async () => {
  await using net = await setUp();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const data = new Uint8Array(600_000).map((_, i) => bytes[i % bytes.length] ?? 0);
  const sent = await net.send({ name: "n", mediaType: "m/t", artifactId: "a", metadata: { k: "v" }, data });
  const { uploads } = net.daemon;
  assert.deepEqual(uploads.map((event) => event.case), [
    "streamStart",
    ...Array(3).fill("streamChunk"),
    "streamEnd",
  ]);
  const chunks = uploads.flatMap((event) => event.case === "streamChunk" ? [event.value] : []);
  assert.deepEqual(chunks.map(({ sequence, data }) => [sequence, data.length]), [
    [0, 262_144],
    [1, 262_144],
    [2, 75_712],
  ]);
  const { totalBytes, reason } = endOf(net.daemon);
  assert.deepEqual([totalBytes, hashOf(net.daemon), reason], [
    600_000n,
    sha256(data),
    StreamEndReason.COMPLETE,
  ]);
  const hex = sha256(data).reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), "");
  assert.deepEqual(sent, { artifactId: "a", totalBytes: 600_000, sha256: hex });
});

Deno.test("sendArtifact() takes text, iterables and streams", async () => {
  const data: ArtifactInput["data"][] = [
    "grün",
    ReadableStream.from([bytesOf("gr"), bytesOf("ün")]),
    async function* () {
      yield bytesOf("gr");
      yield new Uint8Array();
      yield bytesOf("ün");
    }(),
  ];
  for (const one of data) {
    await using net = await setUp();
    assert.equal((await net.send({ data: one })).totalBytes, 5);
    assert.deepEqual(hashOf(net.daemon), sha256(bytesOf("grün")));
  }
});

Deno.test("sendArtifact() joins small pieces that are at hand, also when they are one piece of memory", async () => {
  const memory = new Uint8Array(10);
  const data = async function* () {
    for (let i = 0; i < 10_000; i++) yield memory.fill(i);
  };
  await using net = await setUp();
  assert.equal((await net.send({ data })).totalBytes, 100_000);
  assert.deepEqual(hashOf(net.daemon), sha256(new Uint8Array(100_000).map((_, at) => Math.floor(at / 10))));
  const chunks = net.daemon.uploads.filter((event) => event.case === "streamChunk");
  assert.ok(chunks.length < 1_000, `${chunks.length} chunks`); // one turn of the loop may end a chunk early
});

Deno.test("sendArtifact() sends what it has when the next piece lets wait", async () => {
  await using net = await setUp();
  const { daemon } = net;
  const textOf = () =>
    daemon.uploads.map((event) =>
      event.case === "streamChunk" ? new TextDecoder().decode(event.value.data) : ""
    );
  const data = async function* () {
    for (const word of ["one", "two", "three"]) {
      yield bytesOf(word);
      await within(word, daemon.until(() => textOf().join("").endsWith(word)));
    }
    yield bytesOf("four");
    throw new Error("the end");
  };
  await assert.rejects(net.send({ data: data() }), /the end/);
  assert.equal(textOf().join(""), "onetwothreefour");
});

Deno.test("sendArtifact() takes its data no faster than the receiver does", async () => {
  const open = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  let taken = 0;
  await using net = await setUp({
    sendStreamingArtifact: async (requests: AsyncIterable<SendStreamingArtifactRequest>) => {
      await open.promise;
      for await (const _ of requests);
      return {};
    },
  });
  const total = 4_000;
  const source: AsyncIterable<Uint8Array> = async function* () {
    const bytes = new Uint8Array(64 * 1024);
    for (; taken < total; taken++) yield bytes;
  }();
  const sending = net.send({ data: source });
  await net.daemon.until(() => net.daemon.called("sendStreamingArtifact").length === 1);
  for (let before = -1; before < taken;) { // until nothing more is taken while other calls go through
    before = taken;
    for (let i = 0; i < 20; i++) await net.handle.refresh();
    full.resolve();
  }
  assert.ok(taken > 0 && taken < total / 4, `${taken} taken`);
  open.resolve();
  assert.equal((await sending).totalBytes, total * 64 * 1024);
});

Deno.test("sendArtifact() tells the receiver when the data fails or is called off, and throws why", async () => {
  await using failing = await setUp();
  const data = async function* () {
    yield bytesOf("half");
    await Promise.resolve();
    throw new Error("the disk broke");
  }();
  await assert.rejects(failing.send({ data }), { message: "the disk broke" });
  assert.deepEqual(
    [endOf(failing.daemon).reason, endOf(failing.daemon).errorMessage],
    [StreamEndReason.ERROR, "the disk broke"],
  );

  await using stopped = await setUp();
  const controller = new AbortController();
  const endless = new ReadableStream<Uint8Array>();
  const sending = stopped.send({ data: endless, signal: controller.signal });
  await stopped.daemon.until(() => stopped.daemon.uploads.length === 1);
  controller.abort();
  await assert.rejects(sending, { name: "TaskStreamError", code: "cancelled" });
  assert.equal(endOf(stopped.daemon).reason, StreamEndReason.CANCELED);
});

for (const kind of ["bytes", "a function"] as const) {
  Deno.test(`sendArtifact() begins anew when the daemon was started again, with ${kind}`, async () => {
    let calls = 0;
    const net: Setup = await setUp({
      sendStreamingArtifact: async (requests) => {
        const isFirst = ++calls === 1;
        for await (const { event } of requests) {
          net.daemon.uploads.push(event);
          if (isFirst && event.case === "streamChunk") await net.daemon.stop().then(() => net.daemon.start());
        }
        return {};
      },
    });
    await using _net = net;
    const bytes = new Uint8Array(600 * 1024).fill(7);
    const data = kind === "bytes"
      ? bytes
      : () => ReadableStream.from([bytes.subarray(0, 9), bytes.subarray(9)]);
    const sent = await net.send({ data });
    assert.equal(sent.totalBytes, bytes.length);
    const starts = net.daemon.uploads.flatMap((event) =>
      event.case === "streamStart" ? event.value.artifactId : []
    );
    assert.deepEqual(starts, [sent.artifactId, sent.artifactId]);
    assert.deepEqual(hashOf(net.daemon), sha256(bytes));
  });
}

Deno.test("sendArtifact() throws when the daemon was started again and the data can be read once", async () => {
  const net: Setup = await setUp({
    sendStreamingArtifact: async () => {
      await net.daemon.stop().then(() => net.daemon.start());
      return {};
    },
  });
  await using _net = net;
  await assert.rejects(net.send({ data: ReadableStream.from([bytesOf("once")]) }), {
    name: "TaskStreamError",
  });
});

Deno.test("sendArtifact() throws when its task is over", async () => {
  await using net = await setUp({
    sendStreamingArtifact: () => {
      throw new CodedError("cancelled", "the task is canceled");
    },
    getTask: ({ taskId }) => ({ task: { ...taskInit(taskId), status: TaskStatus.CANCELED } }),
  });
  await assert.rejects(net.send({ data: "text" }), { name: "TaskStreamError", code: "cancelled" });
});

Deno.test("sendArtifact() throws why the receiver refuses, and leaves its data", async () => {
  const left = Promise.withResolvers<void>();
  await using net = await setUp({
    sendStreamingArtifact: () => {
      throw new CodedError("resource_exhausted", "too much");
    },
  });
  const data = new ReadableStream<Uint8Array>({ cancel: () => left.resolve() });
  await assert.rejects(net.send({ data }), {
    name: "TaskStreamError",
    code: "resource_exhausted",
    message: "too much",
  });
  await left.promise;
});

Deno.test("TaskHandle.streams() gives each artifact as it begins, whose bytes come as they are sent", async () => {
  await using net = await setUp();
  begin(net.daemon, "a");
  const seen: string[] = [];
  for await (const stream of net.handle.streams()) {
    seen.push(`${stream.artifactId} ${stream.name} ${stream.mediaType} ${stream.totalBytes}`);
    if (stream.artifactId === "b") {
      assert.equal(await stream.text(), "");
      break;
    }
    chunk(net.daemon, "a", 0, "one ");
    let text = "";
    for await (const bytes of stream) {
      text += new TextDecoder().decode(bytes);
      if (text !== "one ") continue;
      chunk(net.daemon, "a", 1, "two");
      end(net.daemon, "a", { totalBytes: 7n, sha256: sha256(bytesOf("one two")) });
      begin(net.daemon, "b");
      end(net.daemon, "b");
    }
    assert.equal(text, "one two");
    await assert.rejects(stream.text(), { code: "failed_precondition" });
  }
  assert.deepEqual(seen, ["a a.txt text/plain undefined", "b b.txt text/plain undefined"]);
  await net.daemon.until(() => net.daemon.readers("t") === 0);
});

Deno.test("ArtifactStream throws data_loss for each way to be damaged", async () => {
  const damages: ((daemon: FakeDaemon) => void)[] = [
    (daemon) => end(daemon, "a", { sha256: sha256(bytesOf("other")) }),
    (daemon) => end(daemon, "a", { sha256: new Uint8Array(3) }),
    (daemon) => end(daemon, "a", { totalBytes: 99n }),
    (daemon) => chunk(daemon, "a", 2, "a gap"),
  ];
  for (const damage of damages) {
    await using net = await setUp();
    begin(net.daemon, "a");
    chunk(net.daemon, "a", 0, "some");
    damage(net.daemon);
    const stream = await firstOf(net.handle);
    await assert.rejects(stream.text(), { name: "TaskStreamError", code: "data_loss" });
  }
});

Deno.test("ArtifactStream throws how it ended when that is not whole", async () => {
  const ends: [string, (daemon: FakeDaemon) => void][] = [
    ["cancelled", (daemon) => end(daemon, "a", { reason: StreamEndReason.CANCELED })],
    ["aborted", (daemon) => end(daemon, "a", { reason: StreamEndReason.ERROR })],
    ["aborted", (daemon) => begin(daemon, "a")],
    ["aborted", (daemon) => daemon.endStreams()],
  ];
  for (const [code, stop] of ends) {
    await using net = await setUp();
    begin(net.daemon, "a");
    chunk(net.daemon, "a", 0, "some");
    let thrown: unknown;
    for await (const stream of net.handle.streams()) {
      try {
        for await (const _ of stream) stop(net.daemon);
      } catch (error) {
        thrown = error;
      }
      break;
    }
    assert.equal((thrown as CodedError | undefined)?.code, code);
  }
});

Deno.test("TaskHandle.streams() lets artifacts be read in any order, and together", async () => {
  const big = new Uint8Array(300_000).fill(7);
  await using net = await setUp();
  for (const artifactId of ["a", "b"]) begin(net.daemon, artifactId);
  for (let i = 0; i < 10; i++) for (const artifactId of ["a", "b"]) chunk(net.daemon, artifactId, i, big);
  for (const artifactId of ["a", "b"]) end(net.daemon, artifactId, { totalBytes: 3_000_000n });

  const found: ArtifactStream[] = [];
  for await (const stream of net.handle.streams()) {
    if (found.push(stream) === 2) break;
  }
  for (const stream of found.reverse()) assert.equal((await stream.bytes()).length, 3_000_000);

  const together: Promise<Uint8Array>[] = [];
  for await (const stream of net.handle.streams()) {
    if (together.push(stream.bytes()) === 2) break;
  }
  assert.deepEqual((await Promise.all(together)).map(({ length }) => length), [3_000_000, 3_000_000]);

  const second: number[] = [];
  for await (const stream of net.handle.streams()) { // the first one is never read
    if (stream.artifactId === "b") second.push((await stream.bytes()).length);
    if (second.length > 0) break;
  }
  assert.deepEqual(second, [3_000_000]);
  await net.daemon.until(() => net.daemon.readers("t") === 0);
});

Deno.test("ArtifactStream goes on where it was when the connection is lost", async () => {
  await using net = await setUp();
  begin(net.daemon, "a");
  chunk(net.daemon, "a", 0, "one ");
  let text = "";
  for await (const stream of net.handle.streams()) {
    for await (const bytes of stream) {
      text += new TextDecoder().decode(bytes);
      if (text !== "one ") continue;
      await net.daemon.stop();
      chunk(net.daemon, "a", 1, "two");
      end(net.daemon, "a", { sha256: sha256(bytesOf("one two")) });
      await net.daemon.start();
    }
    break;
  }
  assert.equal(text, "one two");
});

Deno.test("TaskHandle.streams() asks for no more than is read", async () => {
  let sent = 0;
  const total = 2_000;
  await using net = await setUp({
    subscribeTaskStream: async function* () {
      yield { event: { case: "streamStart", value: { taskId: "t", artifactId: "a" } } };
      const data = new Uint8Array(64 * 1024);
      for (; sent < total; sent++) {
        yield {
          event: { case: "streamChunk", value: { taskId: "t", artifactId: "a", sequence: sent, data } },
        };
      }
      yield {
        event: {
          case: "streamEnd",
          value: { taskId: "t", artifactId: "a", reason: StreamEndReason.COMPLETE },
        },
      };
    },
  });
  for await (const stream of net.handle.streams()) {
    let bytes = 0;
    for await (const chunk of stream) {
      if (bytes === 0) {
        for (let before = -1; before < sent;) {
          before = sent;
          for (let i = 0; i < 20; i++) await net.handle.refresh();
        }
        assert.ok(sent < total / 4, `${sent} sent`);
      }
      bytes += chunk.length;
    }
    assert.equal(bytes, total * 64 * 1024);
  }
});

Deno.test("ArtifactStream.saveTo() leaves nothing of an artifact that is not whole, and bytes() has a limit", async () => {
  await using dir = await tempDir();
  await using net = await setUp();
  begin(net.daemon, "a");
  chunk(net.daemon, "a", 0, "good");
  end(net.daemon, "a");
  assert.equal(await (await firstOf(net.handle)).saveTo(`${dir.path}/a`), 4);
  assert.equal(await Deno.readTextFile(`${dir.path}/a`), "good");
  await assert.rejects((await firstOf(net.handle)).bytes({ maxBytes: 3 }), { code: "resource_exhausted" });

  await using bad = await setUp();
  begin(bad.daemon, "a");
  chunk(bad.daemon, "a", 0, "bad");
  end(bad.daemon, "a", { totalBytes: 5n });
  await assert.rejects((await firstOf(bad.handle)).saveTo(`${dir.path}/b`), { code: "data_loss" });
  assert.deepEqual((await Array.fromAsync(Deno.readDir(dir.path))).map(({ name }) => name), ["a"]);
});
