import type { UdpAddress } from "./stun.ts";

/** Datagrams that wait for the system; more are lost, as they may be anywhere on the way. */
const MAX_QUEUED = 2_048;
const MAX_DATAGRAM_BYTES = 2_048;
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** A socket for datagrams. */
export class UdpPort {
  readonly #socket: Deno.DatagramConn;
  readonly #received: Promise<void>;
  readonly #queue: { datagram: Uint8Array; to: UdpAddress }[] = [];
  #sending: Promise<void> | undefined;
  #isClosed = false;

  /** Binds; `onDatagram` may use a datagram only until it returns. */
  constructor(bind: UdpAddress, onDatagram: (datagram: Uint8Array, from: UdpAddress) => void) {
    this.#socket = Deno.listenDatagram({ transport: "udp", ...bind });
    this.#received = this.#receive(onDatagram);
  }

  get port(): number {
    return (this.#socket.addr as Deno.NetAddr).port;
  }

  /** Sends a datagram, which must not change any more, and may be lost. */
  send(datagram: Uint8Array, to: UdpAddress): void {
    if (this.#isClosed || this.#queue.length >= MAX_QUEUED) return;
    this.#queue.push({ datagram, to });
    this.#sending ??= this.#sendAll();
  }

  /** Sends what waits and closes the socket. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#sending;
    this.#socket.close();
    await this.#received;
  }

  async #receive(onDatagram: (datagram: Uint8Array, from: UdpAddress) => void): Promise<void> {
    const buffer = new Uint8Array(MAX_DATAGRAM_BYTES);
    while (true) {
      try {
        const [datagram, from] = await this.#socket.receive(buffer);
        const { hostname, port } = from as Deno.NetAddr;
        if (!this.#isClosed) {
          onDatagram(datagram, { hostname: MAPPED_IPV4.exec(hostname)?.[1] ?? hostname, port });
        }
      } catch (error) {
        if (this.#isClosed) return;
        // The system reports here what became of datagrams that were sent.
        if (error instanceof Deno.errors.BadResource) return;
        if (error instanceof TypeError || error instanceof RangeError) throw error;
      }
    }
  }

  async #sendAll(): Promise<void> {
    // In the order in which they were given, whenever the system has room.
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      try {
        await this.#socket.send(next.datagram, { transport: "udp", ...next.to });
      } catch {
        // No way there at the moment: it is lost like any other.
      }
    }
    this.#sending = undefined;
  }
}
