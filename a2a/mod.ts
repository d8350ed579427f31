/**
 * The A2A engine: tasks, their state machine, use cases and delivery. It knows no sockets and no wire formats; store,
 * transport and clock come in as ports. Imports core alone. Whoever creates an {@link Engine} disposes it.
 */
export { type AgentCard, type Skill } from "./card.ts";
export { type DeliveryOptions } from "./delivery.ts";
export { Engine, type EngineDeps, type EngineOptions, type SendTask, type TaskUpdate } from "./engine.ts";
export {
  type Artifact,
  type Envelope,
  type EnvelopeBody,
  type Message,
  type OutboxEntry,
  type Part,
  type PartContent,
  type Task,
  TASK_STATUSES,
  type TaskDirection,
  type TaskStatus,
} from "./model.ts";
export {
  type EnvelopeTransport,
  type StoredTask,
  type TaskPage,
  type TaskQuery,
  type TaskStep,
  type TaskStore,
} from "./ports.ts";
export { canTransition, isTerminal, reportedSteps, TRANSITIONS } from "./state_machine.ts";
