import type { UdpAddress } from "./stun.ts";

/** Datagrams that wait for the system; more are lost, as they may be anywhere on the way. */
const MAX_QUEUED = 2_048;
const MAX_DATAGRAM_BYTES = 2_048;
const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Who is told of what comes. */
export interface UdpHandlers {
  /** Takes a datagram, which is good only until it returns. */
  onDatagram(datagram: Uint8Array, from: UdpAddress): void;
  /** A datagram could not be received, or {@link onDatagram} threw; the next ones come all the same. */
  onError(error: unknown): void;
}

/** A socket for datagrams. */
export class UdpPort {
  readonly #socket: Deno.DatagramConn;
  readonly #received: Promise<void>;
  readonly #queue: { datagram: Uint8Array; to: UdpAddress }[] = [];
  #sending: Promise<void> | undefined;
  #isClosed = false;

  /** Binds. */
  constructor(bind: UdpAddress, handlers: UdpHandlers) {
    this.#socket = Deno.listenDatagram({ transport: "udp", ...bind });
    this.#received = this.#receive(handlers);
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

  async #receive({ onDatagram, onError }: UdpHandlers): Promise<void> {
    const buffer = new Uint8Array(MAX_DATAGRAM_BYTES);
    while (!this.#isClosed) {
      try {
        const [datagram, from] = await this.#socket.receive(buffer);
        const { hostname, port } = from as Deno.NetAddr;
        if (this.#isClosed) return;
        onDatagram(datagram, { hostname: MAPPED_IPV4.exec(hostname)?.[1] ?? hostname, port });
      } catch (error) {
        if (this.#isClosed || error instanceof Deno.errors.BadResource) return;
        // Whoever sent it must not be able to end the others' connections.
        onError(error);
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
