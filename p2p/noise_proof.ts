import type {
  ComponentLogger,
  MessageStream,
  PeerId,
  PrivateKey,
  SecuredConnection,
  Upgrader,
} from "@libp2p/interface";
import { noise } from "@libp2p/noise";

/** What libp2p gives to a transport that proves its peers by itself. */
export interface ProvingComponents {
  peerId: PeerId;
  privateKey: PrivateKey;
  upgrader: Upgrader;
  logger: ComponentLogger;
}

/** Longest time of a handshake that a peer began. */
export const ACCEPT_TIMEOUT_MS = 10_000;
/** The stream on which peers prove who they are. */
export const NOISE_STREAM = { id: "noise", maxReadBufferLength: 64 * 1024 };
/** What libp2p is told of a connection that is proven and encrypted already. */
export const PROVEN = { skipEncryption: true as const, skipProtection: true };

/** What a peer vouches for beside its id. */
interface Vouched {
  webtransportCerthashes: Uint8Array[];
}

/** How two peers prove who they are. */
export interface NoiseProof {
  /** Whether this side begins. */
  begins: boolean;
  /** What the proof is bound to: both sides must name the same. Default nothing. */
  prologue?: Uint8Array;
  /** What this side vouches for. Default nothing. */
  extensions?: Vouched;
  /** Who it has to be. Default anybody. */
  remotePeer?: PeerId;
  signal: AbortSignal;
}

/** Noise XX on `stream`, which is closed then: resolves with the peer, who holds the key of its id, and what it vouches for. */
export async function proveByNoise(
  stream: MessageStream,
  components: ProvingComponents,
  { begins, prologue, extensions, remotePeer, signal }: NoiseProof,
): Promise<Pick<SecuredConnection<Partial<Vouched>>, "remotePeer" | "remoteExtensions">> {
  const encrypter = noise({
    ...prologue !== undefined && { prologueBytes: prologue },
    ...extensions !== undefined && { extensions },
  })(components);
  const options = { signal, skipStreamMuxerNegotiation: true, ...remotePeer !== undefined && { remotePeer } };
  const proven =
    await (begins ? encrypter.secureOutbound(stream, options) : encrypter.secureInbound(stream, options));
  await stream.close({ signal });
  return proven;
}
