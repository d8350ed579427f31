import type {
  AbortOptions,
  Connection,
  ConnectionLimits,
  DialTransportOptions,
  PeerId,
  PeerStore,
  Stream,
  Upgrader,
} from "@libp2p/interface";
import { AbstractMultiaddrConnection, lpStream, type SendResult } from "@libp2p/utils";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { Uint8ArrayList } from "uint8arraylist";
import { isRelayed, kindOf } from "./address_kind.ts";
import { toPeerId } from "./peer_address.ts";
import {
  type CircuitLimit,
  decodeHopAnswer,
  EAGER_HOP_PROTOCOL,
  encodeHopConnect,
  HOP_PROTOCOL,
  HOP_STATUS,
  MAX_HOP_MESSAGE_BYTES,
  nameOfStatus,
} from "./relay_server/hop_messages.ts";

/** The parts of libp2p that a circuit is made of. */
export interface CircuitDialDeps {
  readonly connectionManager: {
    getConnections(peer: PeerId): Connection[];
    openConnection(peer: PeerId, options: AbortOptions): Promise<Connection>;
  };
  readonly peerStore: PeerStore;
  readonly upgrader: Pick<Upgrader, "upgradeOutbound">;
}

/**
 * Dials `address` through its relay (libp2p circuit relay v2). A relay of this program takes the beginning of the connection
 * together with the request and hands both on, which saves a round trip of the whole way. Rejects as libp2p does.
 */
export async function dialCircuit(
  deps: CircuitDialDeps,
  address: Multiaddr,
  options: DialTransportOptions,
): Promise<Connection> {
  const [relayAddress, target] = splitCircuit(address);
  const relayId = toPeerId(kindOf(address)?.relayId ?? "");
  const relay = await connectionTo(deps, { relayId, relayAddress }, options);
  // The peer store throws for a peer of which it knows nothing.
  const known = await deps.peerStore.get(relayId).catch(() => undefined);
  const isEager = known?.protocols.includes(EAGER_HOP_PROTOCOL) ?? false;
  const stream = await relay.newStream(isEager ? EAGER_HOP_PROTOCOL : HOP_PROTOCOL, options);
  try {
    return await new CircuitDial(deps, stream, { address, isEager, options }).run(target);
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** The relay's address, which ends in its id, and the peer behind it. */
function splitCircuit(address: Multiaddr): [Multiaddr, PeerId] {
  const [relay = "", target = ""] = address.toString().split("/p2p-circuit");
  return [multiaddr(relay), toPeerId(target.replace("/p2p/", ""))];
}

async function connectionTo(
  { connectionManager, peerStore }: CircuitDialDeps,
  { relayId, relayAddress }: { relayId: PeerId; relayAddress: Multiaddr },
  options: AbortOptions,
): Promise<Connection> {
  const found = steadiest(connectionManager.getConnections(relayId));
  if (found !== undefined) return found;
  await peerStore.merge(relayId, { multiaddrs: [relayAddress] });
  return await connectionManager.openConnection(relayId, options);
}

/** AutoNAT opens connections only to see whether it can, and closes them again; none is as old as this, in milliseconds. */
const STEADY_AGE_MS = 5_000;

/**
 * The direct connection on which a circuit is best carried: the oldest, but not one over QUIC where there is another that lasts.
 * Where UDP is cut off, QUIC seems to be there for a while.
 */
export function steadiest(connections: readonly Connection[], nowMs = Date.now()): Connection | undefined {
  const open = connections
    .filter(({ status, remoteAddr }) => status === "open" && !isRelayed(remoteAddr))
    .sort((a, b) => a.timeline.open - b.timeline.open);
  const lasts = ({ timeline }: Connection) => nowMs - timeline.open >= STEADY_AGE_MS;
  return open.find((one) => lasts(one) && kindOf(one.remoteAddr)?.transport !== "quic") ?? open[0];
}

interface CircuitDialInit {
  readonly address: Multiaddr;
  readonly isEager: boolean;
  readonly options: DialTransportOptions;
}

/** One request for a circuit, and the connection over it. */
class CircuitDial {
  readonly #deps: CircuitDialDeps;
  readonly #stream: Stream;
  readonly #init: CircuitDialInit;
  #limit: CircuitLimit | undefined;

  constructor(deps: CircuitDialDeps, stream: Stream, init: CircuitDialInit) {
    this.#deps = deps;
    this.#stream = stream;
    this.#init = init;
  }

  async run(target: PeerId): Promise<Connection> {
    const { isEager, options } = this.#init;
    const messages = lpStream(this.#stream, { maxDataLength: MAX_HOP_MESSAGE_BYTES });
    await messages.write(encodeHopConnect(target.toMultihash().bytes), options);
    const circuit = new CircuitConnection(this.#stream, this.#init.address);
    const begun = isEager ? this.#upgrade(circuit) : undefined;
    begun?.catch(() => {
      // Awaited below; here lest it counts as unhandled before the relay has answered.
    });
    try {
      const answer = decodeHopAnswer((await messages.read(options)).subarray());
      if (answer.status !== HOP_STATUS.ok) {
        throw new Error(`the relay answered with status ${nameOfStatus(answer.status)}`);
      }
      this.#limit = answer.limit;
      messages.unwrap();
      circuit.begin();
      return await (begun ?? this.#upgrade(circuit));
    } catch (error) {
      circuit.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  #upgrade(circuit: CircuitConnection): Promise<Connection> {
    const options = { ...this.#init.options };
    // Asked for at the end of the upgrade: the relay has answered by then.
    Object.defineProperty(options, "limits", { get: () => this.#limits() });
    return this.#deps.upgrader.upgradeOutbound(circuit, options);
  }

  #limits(): ConnectionLimits | undefined {
    const { durationSeconds = 0, dataBytes = 0 } = this.#limit ?? {};
    if (durationSeconds === 0 && dataBytes === 0) return undefined;
    return {
      ...durationSeconds > 0 && { seconds: durationSeconds },
      ...dataBytes > 0 && { bytes: BigInt(dataBytes) },
    };
  }
}

/** A connection whose bytes travel on a stream to a relay. What comes is taken from {@link begin} on. */
class CircuitConnection extends AbstractMultiaddrConnection {
  readonly #stream: Stream;
  #begun = false;

  constructor(stream: Stream, remoteAddr: Multiaddr) {
    super({ remoteAddr, direction: "outbound", log: stream.log.newScope("circuit") });
    this.#stream = stream;
    stream.addEventListener("close", ({ error }) => this.onTransportClosed(error));
    stream.addEventListener("drain", () => this.safeDispatchEvent("drain"));
  }

  begin(): void {
    this.#begun = true;
    this.#stream.addEventListener("remoteCloseWrite", () => {
      this.onRemoteCloseWrite();
      this.close().catch((error) => this.abort(error));
    });
    this.#stream.addEventListener("message", ({ data }) => this.onData(data));
  }

  override sendData(data: Uint8ArrayList): SendResult {
    return { sentBytes: data.byteLength, canSendMore: this.#stream.send(data) };
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    await this.#stream.close(options);
  }

  override sendReset(): void {
    this.#stream.abort(new Error("the circuit was given up"));
  }

  override sendPause(): void {
    if (this.#begun) this.#stream.pause();
  }

  override sendResume(): void {
    if (this.#begun) this.#stream.resume();
  }
}
