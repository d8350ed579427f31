import { createLogger, type Logger } from "../../core/log.ts";
import {
  openP2pHost,
  type P2pHandlers,
  type P2pHost,
  type P2pHostOptions,
  type PeerConnection,
} from "../../p2p/mod.ts";
import { Changes } from "../support/patience.ts";

/** A host on loopback that records what its handlers are told. */
export interface TestHost extends AsyncDisposable {
  host: P2pHost;
  peerId: string;
  /** Its loopback address with its id. */
  address: string;
  frames: { peerId: string; frame: Uint8Array }[];
  connected: PeerConnection[];
  disconnected: string[];
  lines: string[];
  /** Resolves when `condition` holds; it is looked at whenever something was recorded. */
  until(condition: () => boolean): Promise<void>;
}

/** Handlers that replace the recording ones, and host options that replace the loopback defaults. */
export interface TestHostOptions extends Partial<P2pHostOptions> {
  seed?: Uint8Array;
  handlers?: Partial<P2pHandlers>;
}

/** A seed that nobody else uses. */
export function randomSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

/** Opens a host on a free loopback port. */
export async function openTestHost(options: TestHostOptions = {}): Promise<TestHost> {
  const { seed = randomSeed(), handlers, ...hostOptions } = options;
  const changes = new Changes();
  const changed = changes.tell;
  const frames: TestHost["frames"] = [];
  const connected: PeerConnection[] = [];
  const disconnected: string[] = [];
  const lines: string[] = [];
  const logger: Logger = createLogger({
    level: "debug",
    write: (line) => {
      lines.push(line);
      changed();
    },
  });
  const recording: P2pHandlers = {
    onA2aFrame(peerId, frame) {
      frames.push({ peerId, frame });
      changed();
      return Promise.resolve();
    },
    onCardFrame: () => Promise.resolve(undefined),
    onPeerConnected(peer) {
      connected.push(peer);
      changed();
    },
    onPeerDisconnected(peerId) {
      disconnected.push(peerId);
      changed();
    },
  };
  const host = await openP2pHost({ seed, handlers: { ...recording, ...handlers }, logger }, {
    listen: ["/ip4/127.0.0.1/tcp/0"],
    mdns: { enabled: false, serviceTag: "", interfaces: [] },
    agentVersion: "agentanycast-test/0",
    ...hostOptions,
  });
  return {
    host,
    peerId: host.peerId,
    address: host.addresses()[0] ?? "",
    frames,
    connected,
    disconnected,
    lines,
    until: (condition) => changes.until(condition),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}
