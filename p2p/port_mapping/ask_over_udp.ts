import { createSocket } from "node:dgram";

/** Pauses before the question is repeated; after the last one it is only waited for. */
const REPEAT_AFTER_MS = [250, 500, 1_000, 2_000];

/** A question over UDP. */
export interface UdpQuestion<T> {
  /** Own IPv4 address to ask from. */
  from: string;
  to: { address: string; port: number };
  /** Sent together, and again while there is no answer. */
  packets: readonly Uint8Array[];
  /** What a packet answers, or undefined when it is none for us. What it throws ends the asking. */
  read(packet: Uint8Array, sender: { address: string; port: number }): T | undefined;
}

/** Asks until there is an answer. Rejects with the reason of `signal`, with what `read` throws, or when nothing can be sent. */
export async function askOverUdp<T>(question: UdpQuestion<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { from, to, packets, read } = question;
  const socket = createSocket("udp4");
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(signal.reason);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const send = (repeat: number) => {
    for (const packet of packets) socket.send(packet, to.port, to.address, (error) => error && reject(error));
    const pauseMs = REPEAT_AFTER_MS[repeat];
    if (pauseMs !== undefined) timer = setTimeout(() => send(repeat + 1), pauseMs);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", reject);
  socket.on("message", (packet, sender) => {
    try {
      const answer = read(packet, sender);
      if (answer !== undefined) resolve(answer);
    } catch (error) {
      reject(error);
    }
  });
  socket.bind({ address: from, port: 0 }, () => send(0));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    await new Promise<void>((closed) => socket.close(() => closed()));
  }
}
