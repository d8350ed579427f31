/**
 * Artifacts over the SDK. With the gRPC address of a daemon alone: an agent that streams as many bytes as a task asks for. With
 * the address of a peer and its id too: takes orders, sends such tasks and reads what comes.
 */
import { Node } from "../sdk/mod.ts";
import { chunksOf, serveTransfers } from "./serve_transfers.ts";
import type { TransferOptions } from "./stream_contender.ts";

const [daemonAddr = "", peerAddress, peerId = ""] = Deno.args;
const node = new Node({ daemonAddr, card: { name: "Stream", skills: [{ id: "stream" }] } });

async function* dataOf(options: TransferOptions): AsyncGenerator<Uint8Array> {
  yield* chunksOf(options);
}

if (peerAddress === undefined) {
  node.onTask(async (task) => {
    await task.sendArtifact({ data: dataOf(JSON.parse(task.text)) });
    await task.complete();
  });
  await node.start();
  console.log(`READY=${node.peerId}`);
  await node.serveForever();
} else {
  await node.start();
  await node.connectPeer(peerAddress);
  serveTransfers(async (options) => {
    const handle = await node.sendTask(JSON.stringify(options), { peerId });
    let received = 0;
    for await (const stream of handle.streams()) {
      for await (const chunk of stream) received += chunk.length;
    }
    await handle.wait();
    return received;
  });
}
