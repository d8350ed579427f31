import type { JsonObject as WireObject } from "@bufbuild/protobuf";
import type { Message, Task } from "../../a2a/mod.ts";
import { isInterrupted, isTerminal } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import type * as pb from "../../gen/lf/a2a/v1/a2a_pb.ts";
import type { A2aCall } from "./a2a_call.ts";
import { a2aError } from "./a2a_error.ts";
import type { A2aOperationsDeps } from "./a2a_operations.ts";
import { derivedTaskId } from "./derived_task_id.ts";
import { invalid } from "./message_in.ts";
import { PRIVATE_METADATA } from "./task_json.ts";

/** How often one message may have been used up. */
const MAX_ATTEMPTS = 10_000;
/** Tells the agent, and a repetition, that the caller does not wait for the result. */
const NO_WAIT = `${PRIVATE_METADATA}return_immediately`;
/** Tells the agent which media types the caller takes. */
const OUTPUT_MODES = `${PRIVATE_METADATA}accepted_output_modes`;

/** A checked message on its way into a task. */
export interface Arrival {
  readonly message: Message;
  readonly call: A2aCall;
}

/** Brings messages of callers into tasks, each message once. */
export class TaskStarter {
  readonly #network: A2aOperationsDeps["network"];

  constructor({ network }: Pick<A2aOperationsDeps, "network">) {
    this.#network = network;
  }

  /**
   * The task that the message begins. A repetition of the message answers the task it began, also after a restart, as long as
   * the caller has not gone on with that task: who has answered or cancelled it has had its answer, and means a new one.
   */
  async begin(request: pb.SendMessageRequest, arrival: Arrival): Promise<Task> {
    const { call, message } = arrival;
    const { contextId = "" } = request.message ?? {};
    const metadata = metadataOf(request);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const taskId = derivedTaskId(request.message as pb.Message, call, attempt);
      const startedAtMs = Date.now();
      const task = await this.#deliver(taskId, { contextId, metadata }, arrival);
      if (task === undefined) continue;
      const isNew = task.generation === 1 && task.createdAtMs >= startedAtMs;
      if (isNew || isRepetition(task, { message, metadata })) return task;
    }
    throw new CodedError(
      "already_exists",
      `Message id ${message.messageId} has been used too often: give each message an id of its own`,
    );
  }

  /** The task with the further message. @throws CodedError UNSUPPORTED_OPERATION when it does not wait for one. */
  async goOn(task: Task, request: pb.SendMessageRequest, arrival: Arrival): Promise<Task> {
    const { message } = arrival;
    const { taskId, contextId, status } = task;
    const given = request.message?.contextId ?? "";
    if (given !== "" && given !== contextId) {
      throw invalid("message.contextId", `is not that of task ${taskId}: leave it out`);
    }
    if (task.messages.some(({ messageId }) => messageId === message.messageId)) return task;
    if (isTerminal(status) || !isInterrupted(status)) {
      const state = isTerminal(status) ? `it is ${status}` : `it is ${status}, not waiting for input`;
      throw a2aError("UNSUPPORTED_OPERATION", `Task ${taskId} takes no further message: ${state}`);
    }
    const { metadata } = task;
    return await this.#deliver(taskId, { contextId, metadata }, arrival) ?? task;
  }

  /** Hands the message over; answers the task as it stands then, or undefined for one that was removed. */
  async #deliver(
    taskId: string,
    { contextId, metadata }: { contextId: string; metadata: Readonly<Record<string, string>> },
    { message, call }: Arrival,
  ): Promise<Task | undefined> {
    const { target, caller, trace, signal } = call;
    const skill = target.kind !== "peer" && target.skillId !== undefined
      ? { targetSkillId: target.skillId }
      : {};
    try {
      return await this.#network.send({
        ...{ message, taskId, contextId, metadata, trace, ...skill },
        ...target.kind === "self" ? { target: { kind: "own", caller } } : { target, caller },
      }, { signal });
    } catch (error) {
      if (error instanceof CodedError && error.code === "not_found") return undefined;
      throw error;
    }
  }
}

function isRepetition(
  task: Task,
  { message, metadata }: { message: Message; metadata: Readonly<Record<string, string>> },
): boolean {
  const said = task.messages.filter(({ role }) => role === "user");
  const hasGoneOn = said.length > 1 || task.status === "canceled" || task.cancelRequested;
  // Who waited for the result and now says not to wait means new work.
  const waitsNoMore = NO_WAIT in metadata && !(NO_WAIT in task.metadata);
  return said[0]?.messageId === message.messageId && !hasGoneOn && !waitsNoMore;
}

/** What agents are told of the request beside its message: texts as they are, other values as JSON. */
function metadataOf({ metadata = {}, configuration }: pb.SendMessageRequest): Record<string, string> {
  const told = Object.entries(metadata as WireObject)
    .filter(([key]) => !key.startsWith(PRIVATE_METADATA))
    .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]);
  const modes = configuration?.acceptedOutputModes ?? [];
  return {
    ...Object.fromEntries(told),
    ...(configuration?.returnImmediately && { [NO_WAIT]: "true" }),
    ...(modes.length > 0 && { [OUTPUT_MODES]: modes.join(", ") }),
  };
}
