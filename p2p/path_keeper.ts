import type { Connection, Libp2p } from "@libp2p/interface";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { isRelayed } from "./address_kind.ts";
import { withDeadline } from "./deadline.ts";

/** How long the old way stays open beside the better one, for what is under way on it. */
const GRACE_MS = 3_000;
/** How long its end may take. */
const CLOSE_MS = 2_000;

/** What keeping the best way works with. */
export interface PathKeeperDeps {
  libp2p: Libp2p;
  /** The connection that new streams of a peer are opened on. */
  connectionTo(peerId: string): Connection | undefined;
  /** A better way to a peer is there: what can move should; the old way ends soon. */
  onBetterPath(peerId: string): void;
  inBackground(work: Promise<void>): void;
  signal: AbortSignal;
  clock: Clock;
  logger: Logger;
}

/** Leaves one way to each peer: when a direct connection appears beside relayed ones, these end after a grace. */
export class PathKeeper {
  readonly #deps: PathKeeperDeps;

  constructor(deps: PathKeeperDeps) {
    this.#deps = deps;
    deps.libp2p.addEventListener("connection:open", ({ detail }) => {
      if (isRelayed(detail.remoteAddr) || deps.signal.aborted) return;
      deps.inBackground(this.#settle(detail));
    });
  }

  /** Never rejects. */
  async #settle(opened: Connection): Promise<void> {
    const { libp2p, clock, signal, logger, onBetterPath } = this.#deps;
    // libp2p's own book has the connection after this event.
    await Promise.resolve();
    const peerId = opened.remotePeer.toString();
    const relayed = () =>
      libp2p.getConnections(opened.remotePeer).filter((one) =>
        one.status === "open" && isRelayed(one.remoteAddr)
      );
    if (relayed().length === 0) return;
    logger.info("Direct connection to a peer", { peer: peerId, address: opened.remoteAddr.toString() });
    onBetterPath(peerId);
    try {
      await clock.sleep(GRACE_MS, signal);
    } catch {
      return; // The host is closing, and with it every connection.
    }
    if (this.#deps.connectionTo(peerId)?.status !== "open" || opened.status !== "open") return;
    await Promise.all(relayed().map((connection) => end(connection)));
  }
}

async function end(connection: Connection): Promise<void> {
  try {
    await withDeadline({ timeoutMs: CLOSE_MS }, (signal) => connection.close({ signal }));
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(String(error)));
  }
}
