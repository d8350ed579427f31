import { lookup } from "node:dns/promises";
import { createUfrag, encodeRequest, encodeResponse, isStun, parseStun, type UdpAddress } from "./stun.ts";
import { UdpPort } from "./udp_port.ts";

/** Pause before the first question is asked again; it doubles. */
const ASK_AGAIN_MS = 250;
const MAX_ASK_AGAIN_MS = 2_000;
/** How often the peer is asked whether it still listens (RFC 7675 wants it before 5 s have passed). */
const CONSENT_MS = 4_000;

/** Questions whose answers are waited for. */
const MAX_ASKED = 8;

/** The socket of one connection that is dialed. */
export class DialPort {
  readonly #port: UdpPort;
  readonly #to: UdpAddress;
  readonly #ufrag = createUfrag();
  /** Questions that may still be answered. */
  #asked: string[] = [];
  readonly #answered = Promise.withResolvers<void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  /** Takes what is not STUN. */
  onDatagram: (datagram: Uint8Array) => void = () => {};
  /** Told what could not be taken. */
  onError: (error: unknown) => void = () => {};

  constructor(to: UdpAddress) {
    this.#to = to;
    const hostname = to.hostname.includes(":") ? "::" : "0.0.0.0";
    this.#port = new UdpPort({ hostname, port: 0 }, {
      onDatagram: (datagram, from) => {
        if (from.hostname !== to.hostname || from.port !== to.port) return;
        if (isStun(datagram)) this.#onStun(datagram);
        else this.onDatagram(datagram);
      },
      onError: (error) => this.onError(error),
    });
  }

  /** Resolves when the peer has answered; from then on it is asked again and again. Rejects when `signal` fires. */
  async open(signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#answered.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      this.#ask(ASK_AGAIN_MS);
      await this.#answered.promise;
      this.#keepAsking();
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  send(datagram: Uint8Array): void {
    this.#port.send(datagram, this.#to);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#port.close();
  }

  #ask(pauseMs: number): void {
    this.#request();
    this.#timer = setTimeout(() => this.#ask(Math.min(2 * pauseMs, MAX_ASK_AGAIN_MS)), pauseMs);
  }

  #keepAsking(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#request();
      this.#keepAsking();
    }, CONSENT_MS);
  }

  #request(): void {
    const transaction = crypto.getRandomValues(new Uint8Array(12));
    this.#asked = [...this.#asked.slice(1 - MAX_ASKED), transaction.toHex()];
    this.send(encodeRequest(transaction, this.#ufrag));
  }

  #onStun(datagram: Uint8Array): void {
    const message = parseStun(datagram);
    // Both sides have the same password.
    if (message === undefined || !message.isProvenBy(this.#ufrag)) return;
    const isOurs = this.#asked.includes(message.transaction.toHex());
    if (message.kind === "success" && isOurs) this.#answered.resolve();
    // Our own questions come back only from somebody who does not know what they are.
    else if (message.kind === "request" && !isOurs) {
      this.send(encodeResponse(message.transaction, this.#ufrag, this.#to));
    }
  }
}

/** The address of `host`, which may be a name. Rejects when there is none. */
export async function resolveHost(host: string, family: 4 | 6): Promise<string> {
  return (await lookup(host, { family })).address;
}
