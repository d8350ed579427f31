import { type Listener, type ListenerEvents, type Logger, TypedEventEmitter } from "@libp2p/interface";
import { getThinWaistAddresses } from "@libp2p/utils";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { base64url } from "multiformats/bases/base64";
import { errorMessage } from "../../core/errors.ts";
import { kindOf } from "../address_kind.ts";
import { periodAt, type WebTransportCertificates } from "./certificate.ts";

/** TLS application protocol of HTTP/3. */
export const ALPN = "h3";
/** How connections of WebTransport are kept and bounded. */
export const QUIC_OPTIONS: Deno.QuicTransportOptions = {
  keepAliveInterval: 2_500,
  maxIdleTimeout: 7_500,
  maxConcurrentBidirectionalStreams: 256,
  // HTTP/3 has three, and browsers may open some that say nothing.
  maxConcurrentUnidirectionalStreams: 8,
};
/** Handshakes that may run at once on one socket. */
const MAX_HANDSHAKES = 64;
/** How often it is looked whether the next certificate is due. */
const REFRESH_MS = 3_600_000;

/** What a listener works with. */
export interface WebTransportListenerDeps {
  /** The certificates around a moment in milliseconds since the epoch. */
  certificatesAt(nowMs: number): Promise<WebTransportCertificates>;
  /** Milliseconds since the epoch. Default `Date.now`. */
  now?: () => number;
  /** Makes a libp2p connection of a QUIC connection, within a bounded time. */
  accept(quic: Deno.QuicConn): Promise<void>;
  log: Logger;
}

interface Bound {
  endpoint: Deno.QuicEndpoint;
  address: Multiaddr;
  listener: Deno.QuicListener;
  certificates: WebTransportCertificates;
}

/** Listens on one socket; its certificate changes in time, connections that are there stay. */
export class WebTransportListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #deps: WebTransportListenerDeps;
  readonly #now: () => number;
  readonly #accepting = new Set<Promise<void>>();
  #bound: Bound | undefined;
  #handshakes = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(deps: WebTransportListenerDeps) {
    super();
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
  }

  /** Multihashes that are vouched for in handshakes. */
  get vouched(): Uint8Array[] {
    return this.#bound?.certificates.vouched ?? [];
  }

  async listen(address: Multiaddr): Promise<void> {
    const kind = kindOf(address);
    if (kind === undefined) throw new TypeError(`${address} is not for WebTransport`);
    const certificates = await this.#deps.certificatesAt(this.#now());
    const endpoint = new Deno.QuicEndpoint({ hostname: kind.host, port: kind.port });
    this.#bound = { endpoint, address, certificates, listener: this.#serve(endpoint, certificates) };
    this.#timer = setInterval(() => {
      this.refresh().catch((error) =>
        this.#deps.log.error(
          "the certificate could not be changed, it is tried again: %s",
          errorMessage(error),
        )
      );
    }, REFRESH_MS);
    Deno.unrefTimer(Number(this.#timer));
    this.safeDispatchEvent("listening");
  }

  /** Changes to the certificate of this moment, if another is presented, and announces its addresses; once an hour by itself. */
  async refresh(): Promise<void> {
    if (this.#bound?.certificates.period === periodAt(this.#now())) return;
    const certificates = await this.#deps.certificatesAt(this.#now());
    const bound = this.#bound;
    if (bound === undefined) return;
    bound.listener.stop();
    this.#bound = { ...bound, certificates, listener: this.#serve(bound.endpoint, certificates) };
    this.safeDispatchEvent("listening");
  }

  getAddrs(): Multiaddr[] {
    if (this.#bound === undefined) return [];
    const { endpoint, address, certificates } = this.#bound;
    const hashes = certificates.announced.map((hash) => `/certhash/${base64url.encode(hash)}`).join("");
    const suffix = multiaddr(`/quic-v1/webtransport${hashes}`);
    return getThinWaistAddresses(address, endpoint.addr.port).map((waist) => waist.encapsulate(suffix));
  }

  updateAnnounceAddrs(): void {
    // Nothing about an address is known only at run time.
  }

  async close(): Promise<void> {
    const bound = this.#bound;
    this.#bound = undefined;
    if (bound === undefined) return;
    clearInterval(this.#timer);
    bound.listener.stop();
    // Only the end of the socket ends what waits for connections.
    bound.endpoint.close({ closeCode: 0, reason: "closed" });
    await Promise.all(this.#accepting);
    this.safeDispatchEvent("close");
  }

  /** The certificate holds for all of the socket's connections from now on, whichever listener takes them. */
  #serve(endpoint: Deno.QuicEndpoint, { current }: WebTransportCertificates): Deno.QuicListener {
    const { key, cert } = current;
    const listener = endpoint.listen({ ...QUIC_OPTIONS, key, cert, alpnProtocols: [ALPN] });
    this.#track(this.#accept(listener));
    return listener;
  }

  /** Takes one connection after the other until the listener stops; too many at once are turned away. */
  async #accept(listener: Deno.QuicListener): Promise<void> {
    while (true) {
      try {
        const incoming = await listener.incoming();
        if (this.#handshakes >= MAX_HANDSHAKES) incoming.refuse();
        else this.#track(this.#shakeHands(incoming));
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        this.#deps.log("no connection could be taken: %s", errorMessage(error));
      }
    }
  }

  async #shakeHands(incoming: Deno.QuicIncoming): Promise<void> {
    this.#handshakes++;
    try {
      await this.#deps.accept(await incoming.accept());
    } catch (error) {
      this.#deps.log("an inbound connection failed: %s", errorMessage(error));
    } finally {
      this.#handshakes--;
    }
  }

  #track(work: Promise<void>): void {
    this.#accepting.add(work);
    void work.finally(() => this.#accepting.delete(work));
  }
}
