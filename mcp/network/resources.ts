import {
  type McpServer,
  type ReadResourceResult,
  type Resource,
  ResourceNotFoundError,
  ResourceTemplate,
} from "@modelcontextprotocol/server";
import { toCodedError } from "../../core/errors.ts";
import type { Artifact, Part, Task } from "../../sdk/mod.ts";
import type { NetworkAccess } from "./access.ts";
import type { PinnedAgents } from "./pinned_agents.ts";
import { safeLine } from "./safe_text.ts";
import { artifactIdOf, textOf, toTaskView } from "./task_view.ts";
import { toCardView } from "./tools/agent_tools.ts";
import {
  AGENT_TEMPLATE,
  agentUri,
  ARTIFACT_TEMPLATE,
  NODE_URI,
  OWN_CARD_URI,
  TASK_TEMPLATE,
  TASKS_URI,
  taskUri,
} from "./uris.ts";

/** Tasks and agents listed as resources. */
const MAX_LISTED = 50;
const JSON_TYPE = "application/json";

interface ResourceDeps {
  readonly server: McpServer;
  readonly access: NetworkAccess;
  readonly pinned: PinnedAgents;
}

/** Cards, tasks and their results as resources. */
export function registerResources(deps: ResourceDeps): void {
  registerFixed(deps);
  registerAgents(deps);
  registerTasks(deps);
}

function registerFixed({ server, access }: ResourceDeps): void {
  const fixed = (uri: string, facts: { name: string; description: string }, read: () => Promise<unknown>) =>
    server.registerResource(
      facts.name,
      uri,
      { description: facts.description, mimeType: JSON_TYPE },
      () => reading(uri, async () => toJsonContents(uri, await read())),
    );
  fixed(
    NODE_URI,
    { name: "node", description: "This node: peer id, addresses, version" },
    () => access.info(),
  );
  fixed(OWN_CARD_URI, { name: "card", description: "The agent card of this node" }, async () => {
    const { card } = await access.info();
    return card === undefined ? null : toCardView(card);
  });
  fixed(
    TASKS_URI,
    { name: "tasks", description: "The last tasks of this node, newest first" },
    async () => (await access.tasks({ limit: MAX_LISTED })).map(toTaskView),
  );
}

function registerAgents({ server, access, pinned }: ResourceDeps): void {
  const known = async (): Promise<{ peerId: string; name: string }[]> => {
    const peers = (await access.peers()).map(({ peerId, agentName }) => ({ peerId, name: agentName ?? "" }));
    const others = pinned.list().filter(({ peerId }) => peers.every((peer) => peer.peerId !== peerId));
    return [...others, ...peers].slice(0, MAX_LISTED);
  };
  const list = async (): Promise<{ resources: Resource[] }> => ({
    resources: (await known()).map(({ peerId, name }) => ({
      uri: agentUri(peerId),
      name: peerId,
      title: safeLine(name) || peerId,
      mimeType: JSON_TYPE,
    })),
  });
  const complete = {
    peer_id: async (value: string) =>
      (await known()).map(({ peerId }) => peerId).filter((peerId) => peerId.startsWith(value)),
  };
  server.registerResource(
    "agent",
    new ResourceTemplate(AGENT_TEMPLATE, { list, complete }),
    { description: "The card of an agent, in its own words", mimeType: JSON_TYPE },
    (uri, { peer_id }) =>
      reading(uri.href, async () => toJsonContents(uri.href, toCardView(await access.card(String(peer_id))))),
  );
}

function registerTasks({ server, access }: ResourceDeps): void {
  const list = async (): Promise<{ resources: Resource[] }> => ({
    resources: (await access.tasks({ limit: MAX_LISTED })).map(({ taskId, status, messages }) => ({
      uri: taskUri(taskId),
      name: taskId,
      title: `${status}: ${safeLine(textOf(messages.slice(0, 1)), 80)}`,
      mimeType: JSON_TYPE,
    })),
  });
  const complete = {
    task_id: async (value: string) =>
      (await access.tasks({ limit: MAX_LISTED })).map(({ taskId }) => taskId).filter((id) =>
        id.startsWith(value)
      ),
  };
  server.registerResource(
    "task",
    new ResourceTemplate(TASK_TEMPLATE, { list, complete }),
    { description: "A task with its messages and results; can be subscribed to", mimeType: JSON_TYPE },
    (uri, { task_id }) =>
      reading(
        uri.href,
        async () => toJsonContents(uri.href, toTaskView(await access.task(decoded(task_id)))),
      ),
  );
  server.registerResource(
    "artifact",
    new ResourceTemplate(ARTIFACT_TEMPLATE, { list: undefined }),
    { description: "A result of a task, whole; written by its agent" },
    (uri, { task_id, artifact_id }) =>
      reading(uri.href, async () => {
        const task = await access.task(decoded(task_id));
        return toArtifactContents(uri.href, findArtifact(task, decoded(artifact_id), uri.href));
      }),
  );
}

function decoded(variable: string | string[] | undefined): string {
  return decodeURIComponent(String(variable ?? ""));
}

function findArtifact(task: Task, artifactId: string, uri: string): Artifact {
  const found = task.artifacts.find((artifact, i) => artifactIdOf(artifact, i) === artifactId);
  if (found === undefined) throw new ResourceNotFoundError(uri);
  return found;
}

function toArtifactContents(uri: string, { parts }: Artifact): ReadResourceResult {
  return { contents: parts.map((part) => toContents(uri, part)) };
}

function toContents(uri: string, part: Part): ReadResourceResult["contents"][number] {
  const mimeType = safeLine(part.mediaType ?? "");
  if (part.raw !== undefined) {
    return { uri, mimeType: mimeType || "application/octet-stream", blob: part.raw.toBase64() };
  }
  if (part.data !== undefined) return { uri, mimeType: JSON_TYPE, text: JSON.stringify(part.data) };
  return { uri, mimeType: mimeType || "text/plain", text: part.text ?? part.url ?? "" };
}

function toJsonContents(uri: string, value: unknown): ReadResourceResult {
  return { contents: [{ uri, mimeType: JSON_TYPE, text: JSON.stringify(value, undefined, 2) }] };
}

/** What is not there is told in the way of the protocol. */
async function reading(uri: string, read: () => Promise<ReadResourceResult>): Promise<ReadResourceResult> {
  try {
    return await read();
  } catch (error) {
    const { code } = toCodedError(error);
    throw code === "not_found" || code === "invalid_argument" ? new ResourceNotFoundError(uri) : error;
  }
}
