import type { ArtifactSpool } from "../a2a/mod.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Identity } from "../identity/mod.ts";
import type { KvStore } from "../kv/mod.ts";
import type { P2pHandlers, P2pHost } from "../p2p/mod.ts";

/** What a node can be made of in the place of sockets, files and the wall clock. */
export interface NodeParts {
  readonly clock: Clock;
  readonly identity: Identity;
  openStore(): Promise<KvStore>;
  openSpool(): ArtifactSpool;
  openHost(
    deps: { handlers: P2pHandlers; channelProtocols: readonly string[]; logger: Logger },
  ): P2pHost;
}
