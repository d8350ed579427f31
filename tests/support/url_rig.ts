import { Engine, isTerminal, type Part, type Task, type TaskStatus } from "../../a2a/mod.ts";
import { createLogger } from "../../core/log.ts";
import { encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { isAgentUrl, parseAgentUrl, RemoteAgents } from "../../daemon/remote/remote_agents.ts";
import { UrlTransport } from "../../daemon/remote/url_transport.ts";
import { routeTransports } from "../../daemon/routed_transport.ts";
import { KvTaskStore } from "../../daemon/store/kv_task_store.ts";
import { RemoteTasks } from "../../daemon/store/remote_tasks.ts";
import { createSafeFetch, type RequestSigner } from "../../http/mod.ts";
import { createIdentity, signBytes } from "../../identity/mod.ts";
import { createMemoryKvStore, type KvStore } from "../../kv/mod.ts";
import { untilHolds, within } from "./patience.ts";

/** An engine whose only others are agents behind URLs. */
export interface UrlRig extends AsyncDisposable {
  readonly engine: Engine;
  readonly kv: KvStore;
  readonly agents: RemoteAgents;
  readonly records: RemoteTasks;
  /** What was logged as warnings and errors. */
  readonly logged: string[];
  /** Sends a text to the agent at `url`. */
  send(url: string, text: string, options?: { taskId?: string; parts?: Part[] }): Promise<Task>;
  /** The task once it is in one of `statuses`, or over. */
  until(taskId: string, ...statuses: TaskStatus[]): Promise<Task>;
  /** Resolves once nothing is kept of the task at its agent. */
  forgotten(taskId: string): Promise<void>;
  /** Resolves once the agent has told the id of the task. */
  taken(taskId: string): Promise<void>;
}

/** Starts one, over `kv` when an earlier one is to be continued. */
export async function startUrlRig(
  options: { kv?: KvStore; answerTimeoutMs?: number; maxStreamsPerAgent?: number } = {},
): Promise<UrlRig> {
  await using stack = new AsyncDisposableStack();
  const kv = options.kv ?? createMemoryKvStore();
  const logged: string[] = [];
  const logger = createLogger({ level: "warn", write: (line) => logged.push(line) });
  const safeFetch = stack.use(createSafeFetch({ allow: ["127.0.0.0/8"], setting: "outbound.allow" }));
  const { answerTimeoutMs, maxStreamsPerAgent = 32 } = options;
  const agents = new RemoteAgents(
    { safeFetch, signer: URL_RIG_SIGNER },
    answerTimeoutMs === undefined ? {} : { answerTimeoutMs },
  );
  const records = new RemoteTasks({ kv, logger });
  const transport = new UrlTransport({
    engine: () => engine,
    ...{ records, agents, logger, meter: { count: () => {} } },
  }, { pollMs: 10, maxPollMs: 50, maxStreamsPerAgent, closeGraceMs: 50 });
  const engine: Engine = stack.use(
    new Engine({
      ...{ logger, encode: encodeEnvelope, store: new KvTaskStore({ kv, logger }) },
      transport: routeTransports(nobody, [{ handles: isAgentUrl, transport }]),
    }, { delivery: { backoffMs: 10, maxBackoffMs: 50 } }),
  );
  await engine.start();
  stack.use(transport);
  await transport.start();
  const owned = stack.move();
  return {
    ...{ engine, kv, agents, records, logged },
    send: (url, text, { taskId, parts } = {}) =>
      engine.sendTask({
        peerId: parseAgentUrl(url),
        message: {
          messageId: crypto.randomUUID(),
          role: "user",
          parts: parts ?? [{ content: { kind: "text", text }, mediaType: "text/plain", metadata: {} }],
          createdAtMs: Date.now(),
        },
        taskId,
      }),
    async until(taskId, ...statuses) {
      const reached = (async () => {
        for await (const { status } of engine.subscribe(taskId)) {
          if (statuses.includes(status) || isTerminal(status)) break;
        }
      })();
      await within(`the end of ${taskId}, or ${statuses}`, reached);
      return await engine.getTask(taskId);
    },
    forgotten: (taskId) => untilHolds(async () => await records.get(taskId) === undefined),
    taken: (taskId) => untilHolds(async () => Boolean((await records.get(taskId))?.remoteTaskId)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const IDENTITY = createIdentity(new Uint8Array(32).fill(5));
/** Who the node of a rig is. */
export const URL_RIG_SIGNER: RequestSigner = {
  keyId: `${IDENTITY.didKey}#${IDENTITY.didKey.slice("did:key:".length)}`,
  sign: (bytes) => signBytes(IDENTITY, bytes),
};

const nobody = {
  peerId: "nobody",
  isConnected: () => false,
  framingOf: () => undefined,
  windowOf: () => 1,
  connect: () => Promise.reject(new Error("there are no peers")),
  send: () => Promise.reject(new Error("there are no peers")),
};

/** The texts that `said` holds, in order. */
export function textsOf(said: readonly { readonly parts: readonly Part[] }[]): string[] {
  return said.map(({ parts }) =>
    parts.map(({ content }) => content.kind === "text" ? content.text : "").join("")
  );
}
