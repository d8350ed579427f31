import { CodedError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { RelayConfig } from "../core/settings/relay.ts";
import { VERSION } from "../core/version.ts";
import {
  openP2pHost,
  type P2pHost,
  type PeerConnection,
  REGISTRY_PROTOCOL,
  toListenAddresses,
} from "../p2p/mod.ts";
import { serveCalls } from "../rpc/channel_calls.ts";
import type { RpcService } from "../rpc/rpc_service.ts";

/** Longest message on the registry protocol. */
const MAX_MESSAGE_BYTES = 1024 * 1024 + 64 * 1024;

/** What the host of a relay works with. */
export interface RelayHostDeps {
  readonly seed: Uint8Array;
  /** The services that peers may call, as `createCallService` makes it. */
  readonly calls: RpcService;
  readonly onDisconnected: (peerId: string) => void;
  readonly logger: Logger;
  /** Closes the host, after the calls of peers have ended. */
  readonly stack: AsyncDisposableStack;
}

/** The libp2p host of a relay: circuits, and the registry for peers. Tasks and cards have no place here. */
export async function openRelayHost(config: RelayConfig, deps: RelayHostDeps): Promise<P2pHost> {
  const { seed, logger, calls, stack } = deps;
  const { enableWebtransport: webTransport, enableWebrtcDirect: webRtcDirect } = config;
  const stop = new AbortController();
  const host = await openP2pHost({
    seed,
    logger: logger.child({ room: "p2p" }),
    handlers: {
      onA2aFrame: () => Promise.reject(new CodedError("unimplemented", "A relay takes no tasks")),
      onCardFrame: () => Promise.resolve(undefined),
      async onChannel(channel) {
        await serveCalls(channel, calls, {
          peerId: channel.peerId,
          maxMessageBytes: MAX_MESSAGE_BYTES,
          signal: stop.signal,
        });
      },
      onPeerConnected: () => {},
      onPeerDisconnected: (peerId) => deps.onDisconnected(peerId),
    },
  }, {
    listen: toListenAddresses({
      addresses: config.listenAddrs,
      quic: true,
      webTransport,
      webRtcDirect,
      nextPorts: true,
    }),
    webTransport,
    webRtcDirect,
    announce: config.announceAddrs,
    relayClient: false,
    relayServer: {
      maxReservations: config.maxReservations,
      maxReservationsPerIp: config.maxReservationsPerIp,
      reservationTtlMs: config.reservationTtlMs,
      maxCircuits: config.maxCircuits,
      maxCircuitsPerPeer: config.maxCircuitsPerPeer,
      circuitDurationMs: config.circuitDurationMs,
      circuitBytes: config.circuitBytes,
    },
    channelProtocols: [REGISTRY_PROTOCOL],
    mdns: { enabled: false, serviceTag: "", interfaces: [] },
    limits: { maxConnections: config.maxConnections },
    agentVersion: `agentanycast-relay/${VERSION}`,
  });
  stack.use(host);
  stack.defer(() => stop.abort(new CodedError("cancelled", "The relay is stopping")));
  return host;
}

/** IP address that a peer is connected from; undefined when it is not. */
export function hostOf(peers: readonly PeerConnection[], peerId: string): string | undefined {
  const address = peers.find((peer) => peer.peerId === peerId && !peer.relayed)?.address;
  return address === undefined ? undefined : /^\/ip[46]\/([^/]+)/.exec(address)?.[1];
}
