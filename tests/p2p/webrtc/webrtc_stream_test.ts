import assert from "node:assert/strict";
import { silentLogger } from "../../../core/log.ts";
import { createLibp2pLogger } from "../../../p2p/libp2p_logger.ts";
import type { ChannelEvents, DataChannel } from "../../../p2p/webrtc/data_channels.ts";
import { encodeStreamMessage, FLAG } from "../../../p2p/webrtc/stream_message.ts";
import { WebRtcStream } from "../../../p2p/webrtc/webrtc_stream.ts";

Deno.test("a peer that says again and again that it has ended is answered once", () => {
  const sent: string[] = [];
  let events: ChannelEvents | undefined;
  const channel: DataChannel = {
    ...{ id: 2, unsentBytes: 0, pause() {}, resume() {}, close() {} },
    attach: (one) => events = one,
    send: (content) => void sent.push(content.toHex()),
  };
  const log = createLibp2pLogger(silentLogger).forComponent("test");
  const stream = new WebRtcStream(channel, { id: "i2", direction: "inbound", log });
  const fins = Array.from({ length: 1_000 }, () => [...encodeStreamMessage({ flag: FLAG.fin })]).flat();
  events?.onMessage(Uint8Array.from(fins));
  assert.deepEqual(sent, [encodeStreamMessage({ flag: FLAG.finAck }).toHex()]);
  assert.equal(stream.remoteWriteStatus, "closed");
});
