import type { Connection, Libp2p } from "@libp2p/interface";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { isRelayed } from "./address_kind.ts";
import { withDeadline } from "./deadline.ts";

/** How long the other ways stay open beside the best one, for what is under way on them. */
const GRACE_MS = 3_000;
/** How long their end may take. */
const CLOSE_MS = 2_000;

/** What keeping the best way works with. */
export interface PathKeeperDeps {
  libp2p: Libp2p;
  /** The open connections of a peer, the best first; its other side has the same order. */
  connectionsTo(peerId: string): readonly Connection[];
  /** Whether all connections of a peer are needed: to a relay there may be one over TCP and one over QUIC. */
  needsAll(peerId: string): boolean;
  /** A better way to a peer is there: what can move should; the others end soon. */
  onBetterPath(peerId: string): void;
  inBackground(work: Promise<void>): void;
  signal: AbortSignal;
  clock: Clock;
  logger: Logger;
}

/** Leaves one way to each peer: when several are there, the best one stays and the others end after a grace. */
export class PathKeeper {
  readonly #deps: PathKeeperDeps;
  readonly #settling = new Set<string>();

  constructor(deps: PathKeeperDeps) {
    this.#deps = deps;
    deps.libp2p.addEventListener("connection:open", ({ detail }) => {
      const peerId = detail.remotePeer.toString();
      if (isRelayed(detail.remoteAddr) || deps.signal.aborted) return;
      if (this.#settling.has(peerId) || deps.needsAll(peerId)) return;
      this.#settling.add(peerId);
      deps.inBackground(this.#settle(peerId).finally(() => this.#settling.delete(peerId)));
    });
  }

  /** Never rejects. */
  async #settle(peerId: string): Promise<void> {
    const { clock, signal, logger, onBetterPath, connectionsTo } = this.#deps;
    // libp2p's own book has the connection after this event.
    await Promise.resolve();
    const [first, ...others] = connectionsTo(peerId);
    if (first === undefined || others.length === 0) return;
    if (others.some(({ remoteAddr }) => isRelayed(remoteAddr))) {
      logger.info("Direct connection to a peer", { peer: peerId, address: first.remoteAddr.toString() });
    }
    onBetterPath(peerId);
    try {
      await clock.sleep(GRACE_MS, signal);
      // Dials of both sides may have met; only now the best of them is known to both.
      if (connectionsTo(peerId)[0] !== first) {
        onBetterPath(peerId);
        await clock.sleep(GRACE_MS, signal);
      }
    } catch {
      return; // The host is closing, and with it every connection.
    }
    await Promise.all(connectionsTo(peerId).slice(1).filter(isWorse).map(end));
  }
}

/** Two relayed connections are no worse than one: they may use different relays. */
function isWorse({ remoteAddr, direction }: Connection): boolean {
  return isRelayed(remoteAddr) || direction === "outbound";
}

async function end(connection: Connection): Promise<void> {
  try {
    await withDeadline({ timeoutMs: CLOSE_MS }, (signal) => connection.close({ signal }));
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(String(error)));
  }
}
