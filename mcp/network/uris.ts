/** Resource of this node. */
export const NODE_URI = "agentanycast://node";
/** Resource of the own agent card. */
export const OWN_CARD_URI = "agentanycast://card";
/** Resource of the last tasks. */
export const TASKS_URI = "agentanycast://tasks";
/** Template of the card of a peer. */
export const AGENT_TEMPLATE = "agentanycast://agents/{peer_id}";
/** Template of a task. */
export const TASK_TEMPLATE = "agentanycast://tasks/{task_id}";
/** Template of a result of a task. */
export const ARTIFACT_TEMPLATE = "agentanycast://tasks/{task_id}/artifacts/{artifact_id}";

/** Address of a task as a resource. */
export function taskUri(taskId: string): string {
  return `${TASKS_URI}/${encodeURIComponent(taskId)}`;
}

/** Address of a result of a task as a resource. */
export function artifactUri(taskId: string, artifactId: string): string {
  return `${taskUri(taskId)}/artifacts/${encodeURIComponent(artifactId)}`;
}

/** Address of the card of a peer as a resource. */
export function agentUri(peerId: string): string {
  return `agentanycast://agents/${encodeURIComponent(peerId)}`;
}

/** The task that a resource of a task, or of one of its results, is about; undefined for other resources. */
export function taskIdOf(uri: string): string | undefined {
  const [, id] = /^agentanycast:\/\/tasks\/([^/]+)(\/artifacts\/[^/]+)?$/.exec(uri) ?? [];
  return id === undefined ? undefined : decodeURIComponent(id);
}
