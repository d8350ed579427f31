import { type Clock, systemClock } from "../../core/clock.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { type P2pHost, parsePeerTarget, REGISTRY_PROTOCOL } from "../../p2p/mod.ts";
import { createChannelClient } from "../../rpc/channel_calls.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import type { Directory } from "../registry/directory.ts";
import type { Merge } from "./merge.ts";
import { type Line, PeerLink, type PeerStatus } from "./peer_link.ts";

/** What federation works with. */
export interface FederationDeps {
  readonly host: P2pHost;
  readonly directory: Directory;
  readonly merge: Merge;
  readonly logger: Logger;
  onSync(address: string, seconds: number): void;
  onError(): void;
  readonly clock?: Clock;
}

/** Whom registrations are shared with. */
export interface FederationOptions {
  /** `host:port` of gRPC, `tls://host:port`, or a multiaddr ending in `/p2p/<peer id>`. */
  readonly peers: readonly string[];
  readonly syncIntervalMs: number;
  /** PEM text of the authorities to trust for `tls://` peers. Default: those of the system. */
  readonly ca?: string | undefined;
}

/** The relays that registrations are shared with. Disposing it ends that. */
export class Federation implements AsyncDisposable {
  readonly #deps: FederationDeps;
  readonly #links: PeerLink[];
  readonly #trusted = new Set<string>();
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  /** Throws `invalid_argument` for a peer that is neither. */
  constructor(deps: FederationDeps, readonly options: FederationOptions) {
    this.#deps = deps;
    this.#links = options.peers.map((address) => this.#createLink(address));
  }

  /** Whether the operator has named this relay, as far as it has shown itself. */
  isTrusted(relayId: string): boolean {
    return this.#trusted.has(relayId);
  }

  statuses(): PeerStatus[] {
    return this.#links.map(({ status }) => status);
  }

  /** Begins, at once. */
  start(): void {
    const wake = () => this.#links.forEach((link) => link.wake());
    const unsubscribe = this.#deps.directory.onChange(wake);
    this.#running = Promise.all(
      this.#links.map((link) => link.run(this.options.syncIntervalMs, this.#stop.signal)),
    ).finally(unsubscribe);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new CodedError("cancelled", "The relay is stopping"));
    await this.#running;
  }

  #createLink(address: string): PeerLink {
    const { host, directory, merge, logger, clock = systemClock } = this.#deps;
    const open = address.startsWith("/") ? this.#libp2pOpener(address) : grpcOpener(address, this.options.ca);
    return new PeerLink({
      ...{ address, relayId: host.peerId, directory, merge, clock, logger, open },
      upgrade: (relayId, addresses, signal) => this.#upgrade(relayId, addresses, signal),
      onRelay: (relayId) => void this.#trusted.add(relayId),
      onSync: (seconds) => this.#deps.onSync(address, seconds),
      onError: () => this.#deps.onError(),
    });
  }

  #libp2pOpener(address: string): (signal: AbortSignal) => Promise<Line> {
    const { peerId, addresses } = parsePeer(address);
    this.#trusted.add(peerId);
    return async (signal) => {
      await this.#deps.host.connect(peerId, addresses, { signal });
      return this.#channelLine(peerId);
    };
  }

  /** Undefined when it cannot be reached there: then gRPC has to do. */
  async #upgrade(
    relayId: string,
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<Line | undefined> {
    try {
      await this.#deps.host.connect(relayId, addresses.slice(0, 16), { signal });
      return this.#channelLine(relayId);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#deps.logger.debug("A federated relay is not reached over libp2p", {
        relayId,
        reason: errorMessage(error),
      });
      return undefined;
    }
  }

  #channelLine(peerId: string): Line {
    const { host } = this.#deps;
    const calls = createChannelClient((signal) => host.openChannel(peerId, REGISTRY_PROTOCOL, { signal }));
    return { kind: "libp2p", calls };
  }
}

function grpcOpener(address: string, ca: string | undefined): () => Promise<Line> {
  const calls = () => createRpcClient(address, { ca });
  calls()[Symbol.dispose](); // throws now for what is no address
  return () => Promise.resolve({ kind: "grpc", calls: calls() });
}

function parsePeer(address: string): ReturnType<typeof parsePeerTarget> {
  try {
    return parsePeerTarget(address);
  } catch (cause) {
    throw new CodedError("invalid_argument", `Cannot federate with ${address}: ${errorMessage(cause)}`, {
      cause,
    });
  }
}
