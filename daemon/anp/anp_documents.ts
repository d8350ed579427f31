import type { AgentCard, Skill } from "../../a2a/mod.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../core/json.ts";

/** The methods about tasks, which every agent has besides those that are its skills. */
export const TASK_METHODS = ["get_task", "cancel_task"] as const;

const AD_PATH = "/agent/ad.json";
const INTERFACE_PATH = "/agent/interface.json";
const RPC_PATH = "/agent/rpc";

/** Where the documents of an agent are. */
export const ANP_PATHS = { description: AD_PATH, interface: INTERFACE_PATH, rpc: RPC_PATH } as const;

export interface AnpAgent {
  readonly card: AgentCard;
  /** Under which it is reached, without a slash at the end. */
  readonly baseUrl: string;
  /** The name that it goes by in ANP. */
  readonly did: string;
}

/**
 * The Agent Description (ANP-07 1.1) of the agent. It is JSON-LD as well, in the shape that clients of the existing network
 * look for.
 */
export function toDescription({ card, baseUrl, did }: AnpAgent): JsonObject {
  const { name, description, version } = card;
  return {
    "@context": { "@vocab": "https://schema.org/", "anp": "https://agentnetworkprotocol.com/ns/" },
    "@type": "anp:AgentDescription",
    "@id": baseUrl + AD_PATH,
    protocolType: "ANP",
    protocolVersion: "1.0.0",
    type: "AgentDescription",
    url: baseUrl + AD_PATH,
    ...{ name, did, description, version },
    securityDefinitions: { didwba_sc: { scheme: "didwba", in: "header", name: "Authorization" } },
    security: "didwba_sc",
    interfaces: [{
      "@type": "anp:OpenRPCInterface",
      type: "StructuredInterface",
      protocol: "openrpc",
      version: "1.3.2",
      url: baseUrl + INTERFACE_PATH,
      description: `What ${name} can be asked to do`,
    }],
  };
}

/** The OpenRPC 1.3.2 document: a method for each skill, and those about tasks. */
export function toInterface({ card, baseUrl }: AnpAgent): JsonObject {
  return {
    openrpc: "1.3.2",
    info: {
      title: card.name,
      version: card.version,
      description: card.description,
      "x-anp-protocol-type": "ANP",
      "x-anp-protocol-version": "1.0.0",
    },
    security: [{ didwba: [] }],
    servers: [{ name: card.name, url: baseUrl + RPC_PATH }],
    methods: [...card.skills.map(toMethod), ...TASK_METHODS.filter(isFree(card)).map(toTaskMethod)],
    components: {
      securitySchemes: {
        didwba: { type: "http", scheme: "didwba", description: "RFC 9421 signature by a DID" },
      },
      schemas: { Task: TASK_SCHEMA },
    },
  };
}

/** The page of all agents here (ANP-08 1.2). */
export function toDescriptionsPage(agents: readonly AnpAgent[], baseUrl: string): JsonObject {
  return {
    "@context": {
      "@vocab": "https://schema.org/",
      "did": "https://w3id.org/did#",
      "ad": "https://agent-network-protocol.com/ad#",
    },
    "@type": "CollectionPage",
    url: `${baseUrl}/.well-known/agent-descriptions`,
    items: agents.map((agent) => ({
      "@type": "ad:AgentDescription",
      name: agent.card.name,
      "@id": agent.baseUrl + AD_PATH,
    })),
  };
}

const TASK_SCHEMA: JsonObject = {
  type: "object",
  properties: {
    task_id: { type: "string" },
    status: { type: "string", description: "TASK_STATUS_ and the state" },
    text: { type: "string", description: "the result, or what the agent asks" },
    data: { description: "the first result that is data" },
    artifacts: { type: "array", items: { type: "object" } },
  },
  required: ["task_id", "status", "text"],
};

/** A method about tasks is not there when a skill has its name. */
function isFree({ skills }: AgentCard): (name: string) => boolean {
  return (name) => !skills.some(({ id }) => id === name);
}

function toMethod({ id, name, description, inputSchema, outputSchema }: Skill): JsonObject {
  const input = schemaOf(inputSchema);
  const output = schemaOf(outputSchema);
  return {
    name: id,
    summary: name || id,
    description,
    paramStructure: "by-name",
    params: [
      { name: "input", description: "what is asked", required: true, schema: input ?? { type: "string" } },
      {
        name: "task_id",
        description: "a task that waits for this answer",
        required: false,
        schema: { type: "string" },
      },
      {
        name: "context_id",
        description: "the conversation it belongs to",
        required: false,
        schema: { type: "string" },
      },
    ],
    result: {
      name: "result",
      schema: output === undefined
        ? { "$ref": "#/components/schemas/Task" }
        : { allOf: [{ "$ref": "#/components/schemas/Task" }, { properties: { data: output } }] },
    },
  };
}

function toTaskMethod(name: (typeof TASK_METHODS)[number]): JsonObject {
  return {
    name,
    summary: name === "get_task" ? "How a task stands" : "Calls a task off",
    paramStructure: "by-name",
    params: [{ name: "task_id", required: true, schema: { type: "string" } }],
    result: { name: "result", schema: { "$ref": "#/components/schemas/Task" } },
  };
}

/** A JSON Schema given as text; undefined when it is none. */
function schemaOf(text: string): JsonValue | undefined {
  try {
    const schema: unknown = JSON.parse(text);
    return isJsonObject(schema) ? schema : undefined;
  } catch {
    return undefined; // A card may hold anything as its schema.
  }
}
