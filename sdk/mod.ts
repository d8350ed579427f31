/**
 * AgentAnycast for programs: send tasks to other agents and handle the tasks they send, peer to peer. Runs on Deno,
 * on Node.js 20.11 or later and on Bun.
 *
 * ```ts
 * import { Node } from "@agentanycast/sdk";
 *
 * await using node = new Node({ card: { name: "Echo", skills: [{ id: "echo" }] } });
 * node.onTask((task) => task.complete(`Echo: ${task.text}`), { skill: "echo" });
 * await node.start();
 * console.log("I am", node.peerId);
 *
 * const handle = await node.sendTask("Hello!", { peerId: "12D3KooW…", targetSkill: "echo" });
 * const task = await handle.wait({ timeoutMs: 30_000 });
 * for (const artifact of task.artifacts) console.log(artifact.parts);
 * await node.serveForever();
 * ```
 *
 * A {@link Node} starts a daemon in its folder, joins the one that runs there, uses the one at `daemonAddr`, or runs the
 * engine inside this process (`mode: "embedded"`, on Deno); who started a daemon stops it. Whoever makes a node stops it.
 *
 * @module
 */
export {
  AgentAnycastError,
  CardNotAvailableError,
  DaemonConnectionError,
  DaemonDownloadError,
  DaemonError,
  DaemonNotFoundError,
  DaemonStartError,
  PeerNotFoundError,
  SkillNotFoundError,
  TaskCanceledError,
  TaskError,
  TaskFailedError,
  TaskInputRequiredError,
  TaskNotFoundError,
  TaskRejectedError,
  TaskStreamError,
  TaskTimeoutError,
} from "./errors.ts";
export { VERSION } from "../core/version.ts";
export { CodedError, type CodedErrorOptions, ERROR_CODES, type ErrorCode } from "../core/errors.ts";
export type { ArtifactStream, TakeOptions } from "./artifact_stream.ts";
export type { AskOptions, IncomingTask } from "./incoming_task.ts";
export {
  type AgentCard,
  type Artifact,
  type CardCheck,
  type CredentialCheck,
  type DeadLetter,
  type DidCheck,
  type DiscoveredAgent,
  type DiscoverOptions,
  isInterrupted,
  isTerminal,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageInput,
  type NodeInfo,
  type Part,
  type PeerInfo,
  type PortMappingInfo,
  type RelayInfo,
  type Skill,
  type Task,
  type TaskDirection,
  type TaskFilter,
  type TaskStatus,
  type TaskUpdate,
} from "./model.ts";
export { didKeyToPeerId, didWebToUrl, peerIdToDidKey, urlToDidWeb } from "./did.ts";
export { Node, type StopOptions } from "./node.ts";
export type { CallOptions } from "./call_options.ts";
export type { NodeEvent } from "./node_events.ts";
export type { DaemonEvent } from "./attachment.ts";
export type { NodeMode, NodeOptions, NodeStatus } from "./node_options.ts";
export type { ArtifactInput, ArtifactSource, SentArtifact } from "./send_artifact.ts";
export type { DownloadProgress } from "./release/fetch_file.ts";
export type { SendTaskOptions } from "./send_request.ts";
export type { EventsOptions, TaskHandle, WaitOptions } from "./task_handle.ts";
export type {
  CheckedTaskHandlerOptions,
  TaskHandler,
  TaskHandlerOptions,
  TaskMiddleware,
} from "./task_handlers.ts";
export type { InputSchema, StandardIssue, StandardResult, StandardSchema } from "./task_input.ts";
