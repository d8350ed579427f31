import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { ArtifactStreams } from "../../../a2a/streams/artifact_streams.ts";
import { CodedError } from "../../../core/errors.ts";
import { systemClock } from "../../../core/clock.ts";
import { silentLogger } from "../../../core/log.ts";
import { DiskSpool } from "../../../daemon/artifacts/disk_spool.ts";
import { createFrameLink, toReceiverChannel } from "../../../daemon/artifacts/frame_link.ts";
import { ARTIFACT_STREAM_PROTOCOL } from "../../../p2p/mod.ts";
import { FakeTasks, Feed, never, read, startOf } from "../../a2a/stream_net.ts";
import { openTestHost } from "../../p2p/test_host.ts";
import { tempDir } from "../../support/temp_dir.ts";

const CHUNK_BYTES = 100_000;
const CHUNKS = 40;
const chunk = (sequence: number) => ({
  kind: "chunk" as const,
  taskId: "task",
  artifactId: "one",
  sequence,
  data: new Uint8Array(CHUNK_BYTES).fill(sequence),
  isLast: sequence === CHUNKS - 1,
});
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => chunk(from + at));

const end = {
  kind: "end",
  taskId: "task",
  artifactId: "one",
  reason: "complete",
  sha256: new Uint8Array(),
  totalBytes: CHUNKS * CHUNK_BYTES,
  errorMessage: "",
} as const;

Deno.test("an artifact crosses real hosts to a file, also when the receiver is restarted in the middle", async () => {
  await using dir = await tempDir();
  const tasks = { originator: new FakeTasks(), assignee: new FakeTasks() };
  const spoolAt = (folder: string) =>
    DiskSpool.open({ folder, logger: silentLogger, knowsTask: () => Promise.resolve(true) });
  let receiver: ArtifactStreams | undefined;
  await using originator = await openTestHost({
    channelProtocols: [ARTIFACT_STREAM_PROTOCOL],
    handlers: {
      onChannel(channel) {
        if (receiver === undefined) throw new CodedError("unavailable", "The receiver is restarting");
        return receiver.accept(toReceiverChannel(channel));
      },
    },
  });
  await using assignee = await openTestHost();
  await assignee.host.connect(originator.peerId, [originator.address]);
  tasks.originator.add("task", { direction: "outbound", peerId: assignee.peerId });
  tasks.assignee.add("task", { direction: "inbound", peerId: originator.peerId });
  const link = createFrameLink((peerId, options) =>
    assignee.host.openChannel(peerId, ARTIFACT_STREAM_PROTOCOL, options)
  );
  const common = { link, clock: systemClock, logger: silentLogger };
  const openReceiver = async () =>
    new ArtifactStreams({ ...common, tasks: tasks.originator, spool: await spoolAt(`${dir.path}/in`) });
  receiver = await openReceiver();
  await using sender = new ArtifactStreams(
    { ...common, tasks: tasks.assignee, spool: await spoolAt(`${dir.path}/out`) },
    { retryMinMs: 1 },
  );
  const feed = new Feed();
  feed.push(startOf(), ...range(0, CHUNKS / 2));
  const sending = sender.send(feed, { signal: never });
  const before = receiver.subscribe("task", { signal: never })[Symbol.asyncIterator]();
  assert.equal((await read(before, CHUNKS / 4)).length, CHUNKS / 4);
  await before.return?.();
  const old = receiver;
  receiver = undefined;
  await old[Symbol.asyncDispose]();
  receiver = await openReceiver();
  feed.push(...range(CHUNKS / 2, CHUNKS), end);
  feed.end();
  await sending;
  const [artifact] = await receiver.resolve("task", sender.references("task"));
  const content = artifact?.parts[0]?.content;
  assert.ok(content?.kind === "url");
  const hash = createHash("sha256");
  for (const { data } of range(0, CHUNKS)) hash.update(data);
  const onDisk = await Deno.readFile(fileURLToPath(content.url));
  assert.equal(createHash("sha256").update(onDisk).digest("hex"), hash.digest("hex"));
  await receiver.deleteTask("task");
  await assert.rejects(Deno.stat(fileURLToPath(content.url)), Deno.errors.NotFound);
  await receiver[Symbol.asyncDispose]();
});
