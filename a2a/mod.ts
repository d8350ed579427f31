/**
 * The A2A engine: tasks, their state machine, use cases and delivery. It knows no sockets and no wire formats; store,
 * transport and clock come in as ports. Imports core alone. Whoever creates an {@link Engine} disposes it.
 */
export { callerOf, isCaller } from "./caller.ts";
export { type AgentCard, type Skill } from "./card.ts";
export { type DeliveryOptions } from "./delivery.ts";
export {
  Engine,
  type EngineDeps,
  type EngineOptions,
  type OfferedTask,
  type StreamedArtifacts,
} from "./engine.ts";
export type { AgentRole } from "./agent_roster.ts";
export { type OfferOptions } from "./offers.ts";
export { LOCAL_CALLER, type SendTask } from "./originator.ts";
export { type TaskUpdate } from "./task_watch.ts";
export {
  type Annotations,
  type Artifact,
  type Envelope,
  type EnvelopeBody,
  type Message,
  type OutboxEntry,
  type OutboxLane,
  type Part,
  type PartContent,
  type Task,
  TASK_STATUSES,
  type TaskDirection,
  type TaskEvent,
  type TaskRecord,
  type TaskRoute,
  type TaskStatus,
  type TraceContext,
} from "./model.ts";
export {
  type AdmitSend,
  type AdmitTask,
  type Answer,
  type CallerTask,
  type Candidates,
  type EngineObserver,
  type EnvelopeEncoder,
  type EnvelopeTransport,
  type Framing,
  type PeerOutbox,
  type Refusal,
  type Retention,
  type RouteFinder,
  type RouteOutcome,
  type RouteQuery,
  type SendRequest,
  type StoredTask,
  type TaskPage,
  type TaskQuery,
  type TaskRequest,
  type TaskStep,
  type TaskStore,
} from "./ports.ts";
export { canTransition, isInterrupted, isTerminal, reportedSteps, TRANSITIONS } from "./state_machine.ts";
export { ArtifactStreams, type ArtifactStreamsDeps } from "./streams/artifact_streams.ts";
export {
  type StreamChunk,
  type StreamEnd,
  type StreamEndReason,
  type StreamEvent,
  type StreamStart,
} from "./streams/stream_event.ts";
export { isTextType, STREAM_KEY, toTextPart } from "./streams/stream_artifact.ts";
export { type StreamOptions } from "./streams/stream_options.ts";
export {
  type ArtifactChannel,
  type ArtifactLink,
  type ArtifactSpool,
  type ReceiverChannel,
  type ReceiverMessage,
  type SenderChannel,
  type SenderMessage,
  type SpoolChunk,
  type SpoolFile,
  type SpoolPosition,
  type SpoolReader,
  type TaskView,
} from "./streams/stream_ports.ts";
