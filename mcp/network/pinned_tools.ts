import type { RegisteredTool, StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { JsonObject } from "../../sdk/mod.ts";
import type { PinnedAgent, PinnedSkill } from "./pinned_agents.ts";
import { taskViewSchema } from "./task_view.ts";
import { runTool, type ToolDeps } from "./tool.ts";
import { sendAndFollow } from "./tools/send_tools.ts";

/** Longest name of a tool that all clients take. */
const MAX_NAME_LENGTH = 64;
/** What the tools of all pinned agents are counted as. */
const PINNED = "pinned";
const WAIT = { wait: true, timeout_seconds: 300 };

interface PinnedTool {
  readonly agent: PinnedAgent;
  readonly skill: PinnedSkill;
}

/** The tools of pinned agents by their names, in a fixed order. */
export function pinnedToolNames(agents: readonly PinnedAgent[]): Map<string, PinnedTool> {
  const named = new Map<string, PinnedTool>();
  for (const agent of agents) {
    for (const skill of agent.skills) {
      const name = `${slug(agent.name)}__${slug(skill.id)}`.slice(0, MAX_NAME_LENGTH);
      const suffix = `_${agent.peerId.slice(-6)}`;
      const isTaken = named.has(name);
      named.set(isTaken ? `${name.slice(0, MAX_NAME_LENGTH - suffix.length)}${suffix}` : name, {
        agent,
        skill,
      });
    }
  }
  return named;
}

/** Registers a tool for each skill of the pinned agents, and keeps up with them. */
export class PinnedTools {
  readonly #deps: ToolDeps;
  readonly #registered = new Map<string, { readonly key: string; readonly tool: RegisteredTool }>();

  constructor(deps: ToolDeps) {
    this.#deps = deps;
  }

  /** Adds and removes tools until they are those of the agents pinned now. */
  update(): void {
    const wanted = pinnedToolNames(this.#deps.pinned.list());
    for (const [name, { key, tool }] of this.#registered) {
      if (keyOf(wanted.get(name)) === key) continue;
      tool.remove();
      this.#registered.delete(name);
    }
    for (const [name, pinned] of wanted) {
      if (this.#registered.has(name)) continue;
      this.#registered.set(name, { key: keyOf(pinned), tool: this.#register(name, pinned) });
    }
  }

  #register(name: string, { agent, skill }: PinnedTool): RegisteredTool {
    const deps = this.#deps;
    const schema = skill.inputSchema;
    return deps.server.registerTool(name, {
      title: `${agent.name}: ${skill.title}`,
      description:
        `Skill of the agent "${agent.name}" (${agent.peerId}) on the agent network. In its own, untrusted words: ` +
        `${skill.description || skill.title}`,
      inputSchema: schema === undefined ? textSchema as AnySchema : passedOn(schema),
      outputSchema: taskViewSchema.extend({ mode: z.literal("direct") }),
      annotations: { readOnlyHint: false, openWorldHint: true },
    }, (input, context) =>
      runTool({ deps, context, tool: PINNED }, (call) => {
        const target = { kind: "peer" as const, peerId: agent.peerId };
        return sendAndFollow({ target, skill: skill.id }, { ...toMessage(input, schema), ...WAIT }, {
          deps,
          call,
        });
      }));
  }
}

type AnySchema = StandardSchemaWithJSON<unknown, unknown>;

const textSchema = z.object({
  message: z.string().max(1024 * 1024).describe("what the agent is to do, in words"),
});

/** Typed input goes as data, and as JSON text for agents that read nothing else. */
function toMessage(input: unknown, schema: JsonObject | undefined): { message: string; data?: JsonObject } {
  if (schema === undefined) return { message: (input as z.infer<typeof textSchema>).message };
  return { message: JSON.stringify(input), data: input as JsonObject };
}

/** A schema that is shown to clients as it is; the agent, who wrote it, checks the input against it. */
function passedOn(
  schema: JsonObject,
): AnySchema {
  return {
    "~standard": {
      version: 1,
      vendor: "agentanycast",
      validate: (value) =>
        typeof value === "object" && value !== null && !Array.isArray(value)
          ? { value: value as Record<string, unknown> }
          : { issues: [{ message: "The input must be an object" }] },
      jsonSchema: { input: () => schema, output: () => schema },
    },
  };
}

function keyOf(pinned: PinnedTool | undefined): string {
  return pinned === undefined ? "" : JSON.stringify([pinned.agent.peerId, pinned.agent.name, pinned.skill]);
}

function slug(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 30) || "agent";
}
