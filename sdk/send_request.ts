import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { orderedId } from "../core/ordered_id.ts";
import { toMessage, toWireMessage } from "./convert.ts";
import type { MessageInput } from "./model.ts";
import { type OptionNames, refuseUnknown } from "./option_names.ts";

/** Where a task goes: exactly one of `peerId`, `skill` and `url`. */
export interface SendTaskOptions {
  /** To this peer. */
  peerId?: string;
  /** To the first agent that takes it of those that offer the skill; one that cannot be reached or refuses is skipped. */
  skill?: string;
  /** With `skill`: labels that the agent's skill must have. */
  skillTags?: Readonly<Record<string, string>>;
  /** To an agent behind an HTTP address. */
  url?: string;
  /** Which skill of the agent is meant. */
  targetSkill?: string;
  /** Handed to the handler as it is. */
  metadata?: Readonly<Record<string, string>>;
  /** Groups tasks of one conversation. Default: a new one. */
  contextId?: string;
  /** Names the task: sending it again, also in a later run of the program, answers the first one. Default: a new id. */
  taskId?: string;
  /** When the task is to be over: unfinished then, it fails on both sides. Not with `deadlineMs`. Default: no limit. */
  deadline?: Date;
  /** The same as milliseconds from now. */
  deadlineMs?: number;
  /** `traceparent` of what the task belongs to, by W3C Trace Context; the handler finds it in its task. */
  traceParent?: string;
  /** `tracestate` that goes with it. */
  traceState?: string;
  /** Ends the waiting for the daemon; a task it has taken goes on. */
  signal?: AbortSignal;
  /** Ends it after this many milliseconds with `deadline_exceeded`. Default: a minute for each time that the daemon is asked. */
  timeoutMs?: number;
  /** How the existing network's daemons are to reach the target; those of this one choose by themselves. */
  transportHint?: string;
}

const NAMES: OptionNames<SendTaskOptions> = {
  peerId: true,
  skill: true,
  skillTags: true,
  url: true,
  targetSkill: true,
  metadata: true,
  contextId: true,
  taskId: true,
  deadline: true,
  deadlineMs: true,
  traceParent: true,
  traceState: true,
  signal: true,
  timeoutMs: true,
  transportHint: true,
};

/** A request that can be made twice, also by a later run of the program: the first message of a task has the task's id. */
export function toSendRequest(input: MessageInput, options: SendTaskOptions, nowMs = Date.now()) {
  refuseUnknown(options, NAMES, "sendTask()");
  const deadline = toDeadline(options, nowMs);
  const { taskId = orderedId() } = options;
  return {
    target: toTarget(options),
    message: toWireMessage({ messageId: taskId, ...toMessage(input, "user") }),
    metadata: { ...options.metadata },
    taskId,
    contextId: options.contextId ?? "",
    targetSkillId: options.targetSkill ?? "",
    transportHint: options.transportHint ?? "",
    skillTags: { ...options.skillTags },
    ...(deadline === undefined ? {} : { deadline: timestampFromDate(deadline) }),
  };
}

function toDeadline({ deadline, deadlineMs }: SendTaskOptions, nowMs: number): Date | undefined {
  if (deadlineMs === undefined) return deadline;
  if (deadline !== undefined) throw new TypeError("A task has either deadline or deadlineMs, not both");
  if (!(deadlineMs > 0)) throw new RangeError(`deadlineMs must be positive, got ${deadlineMs}`);
  return new Date(nowMs + deadlineMs);
}

/** Headers of the call that carry what the task belongs to. */
export function traceHeaders({ traceParent, traceState }: SendTaskOptions): Record<string, string> {
  return {
    ...(traceParent === undefined ? {} : { traceparent: traceParent }),
    ...(traceState === undefined ? {} : { tracestate: traceState }),
  };
}

function toTarget({ peerId, skill, url }: SendTaskOptions) {
  if ([peerId, skill, url].filter((target) => target !== undefined).length !== 1) {
    throw new TypeError("A task needs exactly one of peerId, skill and url");
  }
  if (peerId !== undefined) return { case: "peerId", value: peerId } as const;
  if (skill !== undefined) return { case: "skillId", value: skill } as const;
  return { case: "url", value: url ?? "" } as const;
}
