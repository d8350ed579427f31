import { VERSION } from "../../core/version.ts";

const TEXT = { type: "string" } as const;
const COUNT = { type: "integer", minimum: 0 } as const;
const TIME = { type: "string", format: "date-time" } as const;
const TRUTH = { type: "boolean" } as const;

/** The REST API in OpenAPI 3.1. */
export function openApiDocument() {
  return {
    openapi: "3.1.0",
    info: {
      title: "AgentAnycast relay",
      version: VERSION,
      description:
        "The agents that are registered with this relay and those it knows of from others. Read only.",
    },
    paths: {
      "/api/v1/agents": {
        get: operation("Lists agents, ordered by peer id", {
          parameters: AGENT_PARAMETERS,
          schema: page("agents", ref("Agent")),
        }),
      },
      "/api/v1/agents/{peer_id}": {
        get: operation("One agent", {
          parameters: [{ name: "peer_id", in: "path", required: true, schema: TEXT }],
          schema: ref("Agent"),
          missing: true,
        }),
      },
      "/api/v1/skills": {
        get: operation("Skills on offer, by id, the first 10,000", {
          parameters: [query("prefix", "only those that begin with it", TEXT)],
          schema: object({ count: COUNT, skills: { type: "array", items: ref("Skill") } }),
        }),
      },
      "/api/v1/stats": { get: operation("Counts", { schema: { type: "object" } }) },
      "/api/v1/status": {
        get: operation("How the relay does, as /health says it", { schema: { type: "object" } }),
      },
      "/api/v1/federation": {
        get: operation("Relays that registrations are shared with", {
          schema: object({ peers: { type: "array", items: { type: "object" } } }),
        }),
      },
      "/api/v1/events": {
        get: {
          summary: "Changes as server-sent events: registered, updated, removed",
          responses: {
            "200": { description: "A stream", content: { "text/event-stream": {} } },
            ...PROBLEMS,
          },
        },
      },
    },
    components: { schemas: SCHEMAS },
  };
}

function query(name: string, description: string, schema: object) {
  return { name, in: "query", required: false, description, schema };
}

const AGENT_PARAMETERS = [
  query("skill", "exactly this skill", TEXT),
  query("prefix", "a skill whose id begins with this", TEXT),
  query("q", "words that are all found in ids, names and descriptions", TEXT),
  {
    ...query("tag", "label that the skill has, as name=value; repeatable", { type: "array", items: TEXT }),
    explode: true,
  },
  query("verified", "only agents whose registration is signed", TRUTH),
  query("federated", "also those known from other relays; true unless said", TRUTH),
  query("limit", "most on a page", { type: "integer", minimum: 1, maximum: 1000, default: 100 }),
  query("offset", "how many to pass over", COUNT),
  query("page_token", "the next_page_token of the page before", TEXT),
];

function operation(
  summary: string,
  { parameters = [], schema, missing = false }: { parameters?: object[]; schema: object; missing?: boolean },
) {
  return {
    summary,
    parameters,
    responses: {
      "200": { description: "Found", content: { "application/json": { schema } } },
      ...missing && { "404": PROBLEM },
      ...PROBLEMS,
    },
  };
}

function ref(name: string) {
  return { $ref: `#/components/schemas/${name}` };
}

function object(properties: Readonly<Record<string, object>>) {
  return { type: "object", properties, required: Object.keys(properties) };
}

function page(name: string, items: object) {
  return object({ total: COUNT, count: COUNT, next_page_token: TEXT, [name]: { type: "array", items } });
}

const PROBLEM = {
  description: "A problem (RFC 9457)",
  content: { "application/problem+json": { schema: ref("Problem") } },
};
const PROBLEMS = { "400": PROBLEM, "429": PROBLEM };

const SCHEMAS = {
  Agent: {
    ...object({
      peer_id: TEXT,
      name: TEXT,
      description: TEXT,
      skills: { type: "array", items: object({ id: TEXT, description: TEXT }) },
      via_relay_id: TEXT,
      verified: { ...TRUTH, description: "whether the peer has signed what is said here" },
      addresses: { type: "array", items: TEXT },
      registered_at: TIME,
      last_seen_at: TIME,
      expires_at: TIME,
    }),
    description: "Name, description and skills are the agent's own words.",
  },
  Skill: object({ id: TEXT, description: TEXT, agent_count: COUNT }),
  Problem: object({ type: TEXT, status: COUNT, code: TEXT, detail: TEXT }),
};
