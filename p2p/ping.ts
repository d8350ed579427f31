import type { Stream } from "@libp2p/interface";
import { CodedError } from "../core/errors.ts";
import { type DeadlineOptions, withDeadline } from "./deadline.ts";
import { StreamSource } from "./stream_io.ts";

/** libp2p's ping: 32 bytes come back as they went (libp2p ping specification). */
export const PING_PROTOCOL = "/ipfs/ping/1.0.0";
const PING_BYTES = 32;

/** Sends back what comes on `stream` until the peer closes it or says nothing for the time of `deadline`. */
export async function servePing(stream: Stream, deadline: DeadlineOptions): Promise<void> {
  using source = new StreamSource(stream);
  while (true) {
    const open = await withDeadline(deadline, async (signal) => {
      const chunk = await source.pull(signal);
      if (chunk !== undefined && !stream.send(chunk)) await stream.onDrain({ signal });
      return chunk !== undefined;
    });
    if (!open) return;
  }
}

/** One round trip on `stream` in milliseconds. Throws `data_loss` when something else comes back, or nothing. */
export async function pingOver(stream: Stream, deadline: DeadlineOptions): Promise<number> {
  using source = new StreamSource(stream);
  const sent = crypto.getRandomValues(new Uint8Array(PING_BYTES));
  return await withDeadline(deadline, async (signal) => {
    const startMs = performance.now();
    stream.send(sent);
    for (let received = 0; received < PING_BYTES;) {
      const chunk = await source.pull(signal);
      if (chunk === undefined || chunk.some((byte, index) => byte !== sent[received + index])) {
        throw new CodedError("data_loss", "Could not ping: the peer did not send back what it was sent");
      }
      received += chunk.length;
    }
    const roundTripMs = performance.now() - startMs;
    await stream.close({ signal });
    return roundTripMs;
  });
}
