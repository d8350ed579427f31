import { type Listener, type ListenerEvents, type Logger, TypedEventEmitter } from "@libp2p/interface";
import { getThinWaistAddresses } from "@libp2p/utils";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { base64url } from "multiformats/bases/base64";
import { addressBlock } from "../../core/address_block.ts";
import { errorMessage } from "../../core/errors.ts";
import { isLoopbackHost, kindOf } from "../address_kind.ts";
import type { P256Certificate } from "../p256_certificate.ts";
import { CookieGate } from "./dtls_cookies.ts";
import { isDtls } from "./dtls_record.ts";
import { encodeResponse, isStun, parseStun, type UdpAddress, UFRAG_PREFIX } from "./stun.ts";
import { UdpPort } from "./udp_port.ts";
import { WebRtcSession } from "./webrtc_session.ts";

/** Handshakes that may run at once on one socket, and with one address (one /64 of IPv6); loopback is not counted. */
const MAX_HANDSHAKES = 64;
const MAX_HANDSHAKES_PER_ADDRESS = 16;
/** One that failed counts for so long: each costs a signature, and a peer can let it fail with one datagram. */
const FAILED_COUNTS_MS = 1_000;
/** Answers in a second to those of whom nothing is known; whoever returns a cookie does not count. */
const MAX_ANSWERS_PER_SECOND = 1_000;

/** What a listener works with. */
export interface WebRtcListenerDeps {
  /** What the listener is known by. */
  certificate(): Promise<P256Certificate>;
  /** Makes a libp2p connection of a session, within a bounded time. */
  accept(session: WebRtcSession, from: UdpAddress, onClosed: Promise<Error | undefined>): Promise<void>;
  log: Logger;
}

interface Bound {
  port: UdpPort;
  address: Multiaddr;
  certificate: P256Certificate;
}

/** Listens on one socket for all its peers, who are told apart by their addresses. */
export class WebRtcListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #deps: WebRtcListenerDeps;
  readonly #gate = new CookieGate();
  readonly #sessions = new Map<string, WebRtcSession>();
  readonly #handshakes = new Map<Promise<void>, string>();
  #failed: { block: string; at: number }[] = [];
  #bound: Bound | undefined;
  #answers = { second: 0, count: 0 };

  constructor(deps: WebRtcListenerDeps) {
    super();
    this.#deps = deps;
  }

  async listen(address: Multiaddr): Promise<void> {
    const kind = kindOf(address);
    if (kind === undefined) throw new TypeError(`${address} is not for WebRTC`);
    const certificate = await this.#deps.certificate();
    const port = new UdpPort({ hostname: kind.host, port: kind.port }, {
      onDatagram: (datagram, from) => this.#onDatagram(datagram, from),
      onError: (error) => this.#deps.log("a datagram could not be taken: %s", errorMessage(error)),
    });
    this.#bound = { port, address, certificate };
    this.safeDispatchEvent("listening");
  }

  getAddrs(): Multiaddr[] {
    if (this.#bound === undefined) return [];
    const { port, address, certificate } = this.#bound;
    const suffix = multiaddr(`/webrtc-direct/certhash/${base64url.encode(certificate.hash)}`);
    return getThinWaistAddresses(address, port.port).map((waist) => waist.encapsulate(suffix));
  }

  updateAnnounceAddrs(): void {
    // Nothing about an address is known only at run time.
  }

  async close(): Promise<void> {
    const bound = this.#bound;
    this.#bound = undefined;
    if (bound === undefined) return;
    for (const session of this.#sessions.values()) session.close();
    await Promise.all(this.#handshakes.keys());
    await bound.port.close();
    this.safeDispatchEvent("close");
  }

  #onDatagram(datagram: Uint8Array, from: UdpAddress): void {
    const session = this.#sessions.get(keyOf(from));
    if (isStun(datagram)) this.#answer(datagram, from, session !== undefined);
    else if (!isDtls(datagram)) return;
    else if (session === undefined) this.#greet(datagram, from);
    else session.receive(datagram);
  }

  /** Who asks is answered and forgotten: whether it receives at its address is shown by DTLS. */
  #answer(datagram: Uint8Array, from: UdpAddress, isKnown: boolean): void {
    const message = parseStun(datagram);
    const ufrag = message?.ufrag;
    if (message?.kind !== "request" || !ufrag?.startsWith(UFRAG_PREFIX) || !message.isProvenBy(ufrag)) return;
    if (!isKnown && !this.#mayAnswer()) return;
    this.#bound?.port.send(encodeResponse(message.transaction, ufrag, from), from);
  }

  #greet(datagram: Uint8Array, from: UdpAddress): void {
    if (this.#bound === undefined) return;
    const { port, certificate } = this.#bound;
    const greeting = this.#gate.greet(datagram, from);
    if (greeting === undefined) return;
    if ("answer" in greeting) {
      if (this.#mayAnswer()) port.send(greeting.answer, from);
      return;
    }
    if (!this.#hasRoomFor(from)) return;
    const closed = Promise.withResolvers<Error | undefined>();
    const session = new WebRtcSession({
      ...{ role: "server", certificate, start: greeting.start },
      // Who it is is proven by Noise, which is bound to the certificate.
      checkCertificate: () => {},
      send: (answer) => port.send(answer, from),
      onClosed: (reason) => {
        this.#sessions.delete(keyOf(from));
        closed.resolve(reason);
      },
    });
    this.#sessions.set(keyOf(from), session);
    const handshake = this.#shakeHands(session, from, closed.promise);
    this.#handshakes.set(handshake, addressBlock(from.hostname));
    void handshake.finally(() => this.#handshakes.delete(handshake));
    session.receive(datagram);
  }

  async #shakeHands(
    session: WebRtcSession,
    from: UdpAddress,
    onClosed: Promise<Error | undefined>,
  ): Promise<void> {
    try {
      await this.#deps.accept(session, from, onClosed);
    } catch (error) {
      session.close();
      this.#failed.push({ block: addressBlock(from.hostname), at: performance.now() });
      this.#deps.log("an inbound connection failed: %s", errorMessage(error));
    }
  }

  #hasRoomFor({ hostname }: UdpAddress): boolean {
    const now = performance.now();
    this.#failed = this.#failed.filter(({ at }) => now - at < FAILED_COUNTS_MS);
    const blocks = [...this.#handshakes.values(), ...this.#failed.map(({ block }) => block)];
    if (blocks.length >= MAX_HANDSHAKES) return false;
    if (isLoopbackHost(hostname)) return true;
    const block = addressBlock(hostname);
    return blocks.filter((one) => one === block).length < MAX_HANDSHAKES_PER_ADDRESS;
  }

  #mayAnswer(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (this.#answers.second !== second) this.#answers = { second, count: 0 };
    return this.#answers.count++ < MAX_ANSWERS_PER_SECOND;
  }
}

function keyOf({ hostname, port }: UdpAddress): string {
  return `${hostname} ${port}`;
}
