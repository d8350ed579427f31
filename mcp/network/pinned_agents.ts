import type { AgentCard, JsonObject, Skill } from "../../sdk/mod.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { safeLine, safeText } from "./safe_text.ts";

/** Agents pinned at most. */
const MAX_AGENTS = 32;
/** Skills of an agent that become tools at most. */
const MAX_SKILLS = 32;
/** Longest JSON Schema of a skill that is taken over, in characters. */
const MAX_SCHEMA_LENGTH = 32_768;

/** A skill of a pinned agent, checked and shortened. */
export interface PinnedSkill {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** JSON Schema of an object; undefined for a skill that takes text. */
  readonly inputSchema?: JsonObject;
}

/** An agent whose skills are tools. */
export interface PinnedAgent {
  readonly peerId: string;
  readonly name: string;
  readonly skills: readonly PinnedSkill[];
}

/** The agents whose skills are tools of their own, in a file of the home. */
export class PinnedAgents {
  readonly #path: string;
  readonly #logger: Logger;
  #agents: readonly PinnedAgent[] = [];
  #readAtMs = -1;

  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
  }

  /** All of them, as the file has them now. */
  list(): readonly PinnedAgent[] {
    try {
      const changedAtMs = Deno.statSync(this.#path).mtime?.getTime() ?? 0;
      if (changedAtMs === this.#readAtMs) return this.#agents;
      const { agents } = JSON.parse(Deno.readTextFileSync(this.#path)) as { agents: PinnedAgent[] };
      this.#readAtMs = changedAtMs;
      this.#agents = agents.slice(0, MAX_AGENTS);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        this.#logger.warn("The file of pinned agents cannot be read: remove it, and pin them again", {
          path: this.#path,
          error: errorMessage(error),
        });
      }
      this.#agents = [];
    }
    return this.#agents;
  }

  /** Pins the agent of `card`, in place of what was pinned of it. @throws CodedError `resource_exhausted`. */
  pin(peerId: string, card: AgentCard): PinnedAgent {
    const agent = {
      peerId,
      name: safeLine(card.name, 100) || "agent",
      skills: card.skills.slice(0, MAX_SKILLS).map(toPinnedSkill),
    };
    const others = this.list().filter((one) => one.peerId !== peerId);
    if (others.length >= MAX_AGENTS) {
      throw new CodedError("resource_exhausted", `${MAX_AGENTS} agents are pinned already: unpin one first`);
    }
    this.#write([...others, agent]);
    return agent;
  }

  /** False when it was not pinned. */
  unpin(peerId: string): boolean {
    const agents = this.list();
    const others = agents.filter((one) => one.peerId !== peerId);
    if (others.length === agents.length) return false;
    this.#write(others);
    return true;
  }

  #write(agents: readonly PinnedAgent[]): void {
    const draft = `${this.#path}.${crypto.randomUUID().slice(0, 8)}`;
    Deno.writeTextFileSync(draft, JSON.stringify({ version: 1, agents }, undefined, 2), { mode: 0o600 });
    Deno.renameSync(draft, this.#path);
    this.#agents = agents;
    this.#readAtMs = Deno.statSync(this.#path).mtime?.getTime() ?? 0;
  }
}

function toPinnedSkill({ id, name, description, inputSchema }: Skill): PinnedSkill {
  const schema = toObjectSchema(inputSchema);
  return {
    id,
    title: safeLine(name ?? "", 100) || safeLine(id, 100),
    description: safeText(description ?? "", 1_000),
    ...(schema !== undefined && { inputSchema: schema }),
  };
}

/** The schema when it describes an object, as tools need it; without what points out of it. */
function toObjectSchema(json: string | undefined): JsonObject | undefined {
  if (json === undefined || json.length > MAX_SCHEMA_LENGTH) return undefined;
  try {
    const schema = JSON.parse(json, (key, value) => {
      if (key === "$ref" && !(typeof value === "string" && value.startsWith("#"))) return undefined;
      return typeof value === "string" ? safeText(value, 1_000) : value;
    }) as JsonObject;
    const isObject = typeof schema === "object" && schema !== null && schema.type === "object";
    return isObject && Object.keys(schema.properties ?? {}).length > 0 ? schema : undefined;
  } catch {
    return undefined; // not JSON: the skill takes text
  }
}
