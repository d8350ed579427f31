/**
 * Artifacts from engine to engine. With a home alone: streams as many bytes as a task asks for. With the address of such a one
 * and `true` or `false` too: takes orders, and reads what comes or leaves it on disk.
 */
import type { Engine, StreamEvent, Task } from "../a2a/mod.ts";
import { chunksOf, serveTransfers } from "./serve_transfers.ts";
import type { TransferOptions } from "./stream_contender.ts";
import { openStreamNode, type StreamNode } from "./stream_node.ts";

const [home = "", address, isRead] = Deno.args;
const signal = new AbortController().signal;

function* eventsOf(taskId: string, options: TransferOptions): Generator<StreamEvent> {
  const ids = { taskId, artifactId: "stream" };
  const { totalBytes } = options;
  const start = { artifactName: "stream", mediaType: "", totalChunks: 0, totalBytes, metadata: {} };
  yield { kind: "start", ...ids, ...start };
  let sequence = 0;
  for (const data of chunksOf(options)) {
    yield { kind: "chunk", ...ids, sequence: sequence++, data, isLast: false };
  }
  const nothing = { sha256: new Uint8Array(), totalBytes: 0, errorMessage: "" };
  yield { kind: "end", ...ids, reason: "complete", ...nothing };
}

async function* slowly<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

async function stream({ engine, streams }: StreamNode, { taskId, messages }: Task): Promise<void> {
  const content = messages[0]?.parts[0]?.content;
  const options = JSON.parse(content?.kind === "text" ? content.text : "");
  await streams.send(slowly(eventsOf(taskId, options)), { signal });
  await engine.completeTask(taskId, { artifacts: [] });
}

async function order(engine: Engine, peerId: string, options: TransferOptions): Promise<string> {
  const content = { kind: "text", text: JSON.stringify(options) } as const;
  const parts = [{ content, mediaType: "", metadata: {} }];
  const message = { messageId: crypto.randomUUID(), role: "user", parts, createdAtMs: Date.now() } as const;
  return (await engine.sendTask({ peerId, message })).taskId;
}

/** Bytes of the file that the task has got when it is over. */
async function fileBytes(engine: Engine, taskId: string): Promise<number> {
  for await (const { artifacts } of engine.subscribe(taskId, { signal })) {
    const part = artifacts?.[0]?.parts[0];
    if (part?.content.kind === "url") return (await Deno.stat(new URL(part.content.url))).size;
    if (part?.content.kind === "raw") return part.content.data.length;
  }
  return 0;
}

async function readBytes({ streams }: StreamNode, taskId: string): Promise<number> {
  let bytes = 0;
  for await (const event of streams.subscribe(taskId, { signal })) {
    if (event.kind === "chunk") bytes += event.data.length;
  }
  return bytes;
}

const node = await openStreamNode(home);
if (address === undefined) {
  console.log(`READY=${node.host.addresses()[0]}`);
  for await (const { task } of node.engine.subscribeIncoming()) {
    stream(node, task).catch((error) => console.error("An artifact was not streamed:", error));
  }
} else {
  const peerId = address.split("/p2p/").at(-1) ?? "";
  await node.host.connect(peerId, [address]);
  serveTransfers(async (options) => {
    const taskId = await order(node.engine, peerId, options);
    const bytes = isRead === "true" ? await readBytes(node, taskId) : await fileBytes(node.engine, taskId);
    await node.streams.deleteTask(taskId); // else the disk fills up
    return bytes;
  });
}
