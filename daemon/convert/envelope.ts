import { NO_TRACE } from "../../core/tracer.ts";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Envelope, EnvelopeBody } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import * as pb from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { MAX_FRAME_BYTES } from "../../p2p/mod.ts";
import { encodeMessage } from "../../rpc/codecs.ts";
import { checkShape, decodeWithin, type ShapeLimits } from "../../rpc/shape.ts";
import { fromArtifact, fromMessage, fromStatus, toArtifact, toMessage, toStatus } from "./task.ts";
import { fromTimestamp, toTimestamp } from "./time.ts";

/** What an envelope may cost its receiver. Decoders stop at 100 levels; the rest is room for records and answers around it. */
const LIMITS: ShapeLimits = { maxFields: 200_000, maxDepth: 64 };

/** What a peer sends: something for the engine, or the 1.0 acknowledgement of an envelope. */
export type DecodedEnvelope =
  | { readonly kind: "envelope"; readonly envelope: Envelope }
  | { readonly kind: "ack"; readonly acknowledgedEnvelopeId: string }
  /** An envelope that only its receiver can open. */
  | { readonly kind: "sealed"; readonly envelopeId: string; readonly sealed: Uint8Array };

/**
 * The bytes of an envelope as they travel between peers. What it answers can be sent, and {@link decodeEnvelope} takes it.
 * @throws CodedError `resource_exhausted` when it does not fit into a frame, `invalid_argument` when it has too many or
 * too deeply nested fields.
 */
export function encodeEnvelope({ envelopeId, timestampMs, trace, body }: Envelope): Uint8Array {
  const { traceParent, traceState } = trace;
  const timestamp = toTimestamp(timestampMs);
  const { type, payload } = toPayload(body);
  const wire = { envelopeId, timestamp, traceParent, traceState, type, payload };
  const bytes = encodeMessage(pb.A2AEnvelopeSchema, wire);
  if (bytes.length > MAX_FRAME_BYTES) {
    throw new CodedError(
      "resource_exhausted",
      `The envelope has ${bytes.length} bytes: ${MAX_FRAME_BYTES} at most; split its content`,
    );
  }
  checkShape(pb.A2AEnvelopeSchema, bytes, LIMITS);
  return bytes;
}

/** The bytes of a sealed envelope. */
export function encodeSealed(envelopeId: string, sealed: Uint8Array): Uint8Array {
  return encodeMessage(pb.A2AEnvelopeSchema, { envelopeId, sealed });
}

/** The acknowledgement of an envelope, for peers that speak 1.0. */
export function encodeAck(acknowledgedEnvelopeId: string): Uint8Array {
  return encodeMessage(pb.A2AEnvelopeSchema, {
    envelopeId: crypto.randomUUID(),
    timestamp: toTimestamp(Date.now()),
    type: pb.EnvelopeType.ACK,
    payload: { case: "ack", value: { acknowledgedEnvelopeId } },
  });
}

/** The report that a task is refused, for peers that speak 1.0. */
export function encodeRejection(taskId: string, reason: string): Uint8Array {
  const nowMs = Date.now();
  const content = { kind: "text", text: reason } as const;
  return encodeEnvelope({
    envelopeId: crypto.randomUUID(),
    timestampMs: nowMs,
    trace: NO_TRACE,
    body: {
      type: "status_update",
      taskId,
      status: "rejected",
      message: {
        messageId: crypto.randomUUID(),
        role: "agent",
        parts: [{ content, mediaType: "text/plain", metadata: {} }],
        createdAtMs: nowMs,
      },
    },
  });
}

/**
 * What a peer has sent; undefined for a type that this version does not take (it must not be acknowledged).
 * @throws CodedError `invalid_argument` when the bytes are no envelope or have too many or too deeply nested fields.
 */
export function decodeEnvelope(bytes: Uint8Array): DecodedEnvelope | undefined {
  const wire = decodeWithin(pb.A2AEnvelopeSchema, bytes, LIMITS);
  if (wire.sealed.length > 0) return { kind: "sealed", envelopeId: wire.envelopeId, sealed: wire.sealed };
  if (wire.payload.case === "ack") return { kind: "ack", ...acknowledged(wire.payload.value) };
  const body = fromPayload(wire.payload);
  if (body === undefined) return undefined;
  const { envelopeId, traceParent, traceState } = wire;
  const timestampMs = fromTimestamp(wire.timestamp);
  return {
    kind: "envelope",
    envelope: { envelopeId, timestampMs, trace: { traceParent, traceState }, body },
  };
}

function acknowledged({ acknowledgedEnvelopeId }: pb.AckPayload) {
  return { acknowledgedEnvelopeId };
}

const TYPE_TO_WIRE: Readonly<Record<EnvelopeBody["type"], pb.EnvelopeType>> = {
  send_task: pb.EnvelopeType.SEND_TASK,
  status_update: pb.EnvelopeType.TASK_STATUS_UPDATE,
  complete: pb.EnvelopeType.TASK_COMPLETE,
  fail: pb.EnvelopeType.TASK_FAIL,
  cancel: pb.EnvelopeType.TASK_CANCEL,
  get_task: pb.EnvelopeType.GET_TASK,
  get_task_response: pb.EnvelopeType.GET_TASK_RESPONSE,
};
const TYPE_FROM_WIRE = new Map(
  Object.entries(TYPE_TO_WIRE).map(([type, wire]) => [wire, type as EnvelopeBody["type"]]),
);

/** The wire's number of an envelope type. */
export function toEnvelopeType(type: EnvelopeBody["type"]): pb.EnvelopeType {
  return TYPE_TO_WIRE[type];
}

/** An envelope type from the wire; undefined for one that is unset or unknown. */
export function fromEnvelopeType(type: pb.EnvelopeType): EnvelopeBody["type"] | undefined {
  return TYPE_FROM_WIRE.get(type);
}

type PayloadInit = NonNullable<MessageInitShape<typeof pb.A2AEnvelopeSchema>["payload"]>;

function toPayload(body: EnvelopeBody): { type: pb.EnvelopeType; payload: PayloadInit } {
  const message = "message" in body && body.message !== undefined ? toMessage(body.message) : undefined;
  const wrap = (payload: PayloadInit) => ({ type: TYPE_TO_WIRE[body.type], payload });
  const { taskId } = body;
  switch (body.type) {
    case "send_task": {
      const { contextId, targetSkillId, metadata, deadlineMs } = body;
      const deadline = deadlineMs === 0 ? {} : { deadline: toTimestamp(deadlineMs) };
      const init = { taskId, contextId, targetSkillId, metadata: { ...metadata }, message, ...deadline };
      return wrap({ case: "sendTask", value: init });
    }
    case "status_update": {
      const init = { taskId, status: toStatus(body.status), message };
      return wrap({ case: "taskStatusUpdate", value: init });
    }
    case "complete": {
      const artifacts = body.artifacts.map(toArtifact);
      return wrap({ case: "taskComplete", value: { taskId, artifacts, message } });
    }
    case "fail": {
      return wrap({ case: "taskFail", value: { taskId, errorMessage: body.errorMessage, message } });
    }
    case "cancel": {
      const { reason } = body;
      // 1.0 knows no other end of a call-off, so that the usual one is not spelled out.
      const status = body.status === "canceled" ? pb.TaskStatus.UNSPECIFIED : toStatus(body.status);
      return wrap({ case: "taskCancel", value: { taskId, status, reason } });
    }
    case "get_task":
      return wrap({ case: "getTask", value: { taskId } });
    case "get_task_response":
      return wrap({ case: "getTaskResponse", value: toTaskResponse(body) });
    default:
      return body satisfies never;
  }
}

function toTaskResponse(
  body: EnvelopeBody & { type: "get_task_response" },
): MessageInitShape<typeof pb.GetTaskResponsePayloadSchema> {
  const { taskId, task } = body;
  if (task === undefined) return { taskId };
  const { errorMessage } = task;
  return {
    taskId,
    task: {
      taskId,
      errorMessage,
      status: toStatus(task.status),
      messages: task.messages.map(toMessage),
      artifacts: task.artifacts.map(toArtifact),
    },
  };
}

function fromTaskResponse({ taskId, task }: pb.GetTaskResponsePayload): EnvelopeBody {
  return {
    type: "get_task_response",
    taskId: taskId || (task?.taskId ?? ""),
    task: task && {
      status: fromStatus(task.status),
      messages: task.messages.map((message) => fromMessage(message, "agent")),
      artifacts: task.artifacts.map(fromArtifact),
      errorMessage: task.errorMessage,
    },
  };
}

/** The payload decides, not the type number: peers exist that get the number wrong. */
function fromPayload(payload: pb.A2AEnvelope["payload"]): EnvelopeBody | undefined {
  const agentMessage = (message: pb.Message | undefined) => message && fromMessage(message, "agent");
  switch (payload.case) {
    case "sendTask": {
      const { contextId, targetSkillId, metadata, message } = payload.value;
      return {
        type: "send_task",
        // A task without an id is one that its sender will never ask about.
        taskId: payload.value.taskId || crypto.randomUUID(),
        contextId,
        targetSkillId,
        metadata,
        message: message && fromMessage(message, "user"),
        deadlineMs: fromTimestamp(payload.value.deadline),
      };
    }
    case "taskStatusUpdate": {
      const { taskId, status, message } = payload.value;
      return { type: "status_update", taskId, status: fromStatus(status), message: agentMessage(message) };
    }
    case "taskComplete": {
      const { taskId, message } = payload.value;
      const artifacts = payload.value.artifacts.map(fromArtifact);
      return { type: "complete", taskId, artifacts, message: agentMessage(message) };
    }
    case "taskFail": {
      const { taskId, errorMessage, message } = payload.value;
      return { type: "fail", taskId, errorMessage, message: agentMessage(message) };
    }
    case "taskCancel": {
      const { taskId, status, reason } = payload.value;
      return {
        type: "cancel",
        taskId,
        status: status === pb.TaskStatus.FAILED ? "failed" : "canceled",
        reason,
      };
    }
    case "getTask":
      return { type: "get_task", taskId: payload.value.taskId };
    case "getTaskResponse":
      return fromTaskResponse(payload.value);
    default:
      return undefined;
  }
}
