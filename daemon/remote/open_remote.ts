import type { Engine } from "../../a2a/mod.ts";
import type { Config } from "../../core/config.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { NodeMeter } from "../../core/node_metrics.ts";
import { readOriginCredentials } from "../../core/origin_credentials.ts";
import { createSafeFetch, type SafeFetch, type TlsFiles } from "../../http/mod.ts";
import type { Identity } from "../../identity/mod.ts";
import type { KvStore } from "../../kv/mod.ts";
import type { TargetSender } from "../agent_network.ts";
import type { TransportRoute } from "../routed_transport.ts";
import { ownSigner, type Trust } from "../trust/mod.ts";
import { RemoteTasks } from "../store/remote_tasks.ts";
import { isAgentUrl, parseAgentUrl, RemoteAgents } from "./remote_agents.ts";
import { UrlTransport } from "./url_transport.ts";

/** The agents behind URLs: their tasks, and the way to them. Disposing it stops following what they do. */
export interface Remote extends AsyncDisposable {
  /** The engine's way to them. */
  readonly route: TransportRoute;
  /** Sends a task to the agent at a URL. */
  readonly send: TargetSender<"url">;
  /** Goes on with the tasks of an earlier run; the engine has started. */
  start(): Promise<void>;
}

export interface RemoteDeps {
  readonly kv: KvStore;
  readonly logger: Logger;
  /** Who this node is, for agents that want to know who calls. */
  readonly identity: Identity;
  readonly trust: Pick<Trust, "dids">;
  readonly metrics: { readonly meter: NodeMeter };
  /** Asked for once tasks are sent: the engine is made with the route of this. */
  readonly engine: () => Pick<Engine, "receive" | "getTask" | "sendTask">;
}

/** Opens the way to them. @throws CodedError `invalid_argument`, `failed_precondition` for settings that cannot be used. */
export async function openRemote(config: Config, deps: RemoteDeps): Promise<Remote> {
  const logger = deps.logger.child({ wire: "outbound" });
  const safeFetch = await openFetch(config.outbound);
  const agents = new RemoteAgents({ safeFetch, signer: ownSigner(deps.identity, deps.trust.dids) }, {
    answerTimeoutMs: config.outbound.answerTimeoutMs,
  });
  const records = new RemoteTasks({ kv: deps.kv, logger });
  const transport = new UrlTransport({
    engine: deps.engine,
    records,
    agents,
    logger,
    meter: deps.metrics.meter,
  });
  return {
    route: { handles: isAgentUrl, transport },
    send: ({ url }, task) => deps.engine().sendTask({ ...task, peerId: parseAgentUrl(url) }),
    start: () => transport.start(),
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      safeFetch[Symbol.dispose]();
    },
  };
}

async function openFetch({ allow, credentialsPath }: Config["outbound"]): Promise<SafeFetch> {
  const credentials = await readOriginCredentials(credentialsPath);
  const tls: [string, TlsFiles][] = [...credentials].flatMap(([origin, one]) =>
    one.tls ? [[origin, one.tls]] : []
  );
  try {
    return createSafeFetch({
      allow,
      setting: "outbound.allow",
      headersFor: (origin) => credentials.get(origin)?.headers ?? {},
      tls: Object.fromEntries(tls),
    });
  } catch (error) {
    throw new CodedError("invalid_argument", `outbound.allow: ${errorMessage(error)}`, { cause: error });
  }
}
