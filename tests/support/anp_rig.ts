import { type AgentCard, Engine, type EnvelopeTransport } from "../../a2a/mod.ts";
import { silentLogger } from "../../core/log.ts";
import { AgentNetwork } from "../../daemon/agent_network.ts";
import { type AnpAppOptions, createAnpApp } from "../../daemon/anp/mod.ts";
import { encodeEnvelope } from "../../daemon/convert/envelope.ts";
import { callerRoute, routeTransports } from "../../daemon/routed_transport.ts";
import { KvTaskStore } from "../../daemon/store/kv_task_store.ts";
import type { HttpHandler } from "../../http/mod.ts";
import { createDidResolver, createIdentity, type Identity } from "../../identity/mod.ts";
import { createMemoryKvStore } from "../../kv/mod.ts";
import type { P2pHost } from "../../p2p/mod.ts";

/** An agent that is served over ANP, without a socket. */
export interface AnpRig extends AsyncDisposable {
  readonly handler: HttpHandler;
  readonly engine: Engine;
  readonly identity: Identity;
  /** Its card; undefined until somebody sets one. */
  card: AgentCard | undefined;
}

/** A card with the skills of {@link startAnpRig}'s agent. */
export const ANP_CARD: AgentCard = {
  name: "Painter",
  description: "Paints",
  version: "2.1.0",
  protocolVersion: "a2a/1.0",
  skills: [
    {
      id: "paint",
      name: "Paint",
      description: "Paints what it is told",
      tags: [],
      inputSchema: "",
      outputSchema: "",
    },
    {
      id: "mix",
      name: "Mix",
      description: "Mixes colours",
      tags: [],
      inputSchema: '{"type":"object","properties":{"a":{"type":"string"}}}',
      outputSchema: "not a schema",
    },
  ],
  ...{ peerId: "", supportedTransports: [], relayAddresses: [], didKey: "", didWeb: "", didDns: "" },
  ...{ verifiableCredentials: [], signedAtMs: 0 },
} as unknown as AgentCard;

const nobody: EnvelopeTransport = {
  peerId: "12D3KooWTest",
  isConnected: () => false,
  framingOf: () => undefined,
  windowOf: () => 1,
  connect: () => Promise.reject(new Error("there are no peers")),
  send: () => Promise.reject(new Error("there are no peers")),
};

/**
 * Starts one, whose agent paints: "slow" waits for `release`, "which" asks back, "fail" fails, everything else is completed.
 */
export async function startAnpRig(
  options: Partial<AnpAppOptions> & {
    release?: Promise<void>;
    network?: Parameters<typeof createDidResolver>[0];
  } = {},
): Promise<AnpRig> {
  await using stack = new AsyncDisposableStack();
  const kv = createMemoryKvStore();
  const logger = silentLogger;
  const store = new KvTaskStore({ kv, logger });
  const engine = stack.use(
    new Engine({ store, logger, encode: encodeEnvelope, transport: routeTransports(nobody, [callerRoute]) }),
  );
  await engine.start();
  const identity = createIdentity(new Uint8Array(32).fill(9));
  const own: { card: AgentCard | undefined } = { card: ANP_CARD };
  const network = new AgentNetwork({
    engine,
    host: nobody as unknown as P2pHost,
    cards: {
      get own() {
        return own.card;
      },
    },
    cardOf: () => Promise.resolve(undefined),
  });
  const noNetwork = {
    fetchBytes: () => Promise.reject(new Error("there is no network")),
    resolveTxt: () => Promise.reject(new Error("there is no network")),
  };
  const handler = createAnpApp({
    ...{ engine, network, logger, meter: { count: () => {} } },
    resolver: createDidResolver(options.network ?? noNetwork),
    publicDocument: (path) =>
      Promise.resolve(path === "/.well-known/did.json" ? { id: "did:wba:x.example" } : undefined),
  }, {
    publicUrl: undefined,
    anonymous: "loopback",
    did: () => identity.didKey,
    answerTimeoutMs: 5_000,
    maxCalls: 8,
    ...options,
  });
  const stop = new AbortController();
  const agent = runAgent(engine, { release: options.release ?? Promise.resolve(), signal: stop.signal });
  stack.defer(async () => {
    stop.abort();
    await agent;
  });
  const owned = stack.move();
  return Object.assign(own, { handler, engine, identity, [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

async function runAgent(
  engine: Engine,
  { release, signal }: { release: Promise<void>; signal: AbortSignal },
): Promise<void> {
  const working: Promise<unknown>[] = [];
  try {
    for await (const { task } of engine.subscribeIncoming({ signal })) {
      working.push(paint(engine, task.taskId, release).catch(() => {}));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  await Promise.all(working);
}

async function paint(engine: Engine, taskId: string, release: Promise<void>): Promise<void> {
  const task = await engine.getTask(taskId);
  const [first] = task.messages;
  const content = first?.parts[0]?.content;
  const text = content?.kind === "text"
    ? content.text
    : JSON.stringify(content?.kind === "data" ? content.data : "");
  const say = (words: string) => ({
    messageId: crypto.randomUUID(),
    role: "agent" as const,
    parts: [textPart(words)],
    createdAtMs: Date.now(),
  });
  if (text === "slow") await release;
  if (text === "fail") return void await engine.failTask(taskId, "out of paint");
  await engine.updateTask(taskId, { status: "working" });
  if (text === "which" && task.messages.length === 1) {
    return void await engine.updateTask(taskId, { status: "input_required", message: say("which colour?") });
  }
  const data = {
    content: { kind: "data", data: { skill: task.targetSkillId } },
    mediaType: "",
    metadata: {},
  } as const;
  await engine.completeTask(taskId, {
    artifacts: [{ artifactId: "a", name: "picture", parts: [textPart(`painted ${text}`), data] }],
  });
}

function textPart(text: string) {
  return { content: { kind: "text", text }, mediaType: "text/plain", metadata: {} } as const;
}
