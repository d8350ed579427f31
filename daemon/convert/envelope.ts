import { create, toBinary } from "@bufbuild/protobuf";
import type { Envelope, EnvelopeBody } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import * as pb from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { MAX_FRAME_BYTES } from "../../p2p/mod.ts";
import { checkShape, decodeWithin, type ShapeLimits } from "./shape.ts";
import { fromArtifact, fromMessage, fromStatus, toArtifact, toMessage, toStatus } from "./task.ts";
import { fromTimestamp, toTimestamp } from "./time.ts";

/** What an envelope may cost its receiver. Decoders stop at 100 levels; the rest is room for records and answers around it. */
const LIMITS: ShapeLimits = { maxFields: 200_000, maxDepth: 64 };

/**
 * The bytes of an envelope as they travel between peers. What it answers can be sent, and {@link decodeEnvelope} takes it.
 * @throws CodedError `resource_exhausted` when it does not fit into a frame, `invalid_argument` when it has too many or
 * too deeply nested fields.
 */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const bytes = toBinary(
    pb.A2AEnvelopeSchema,
    create(pb.A2AEnvelopeSchema, {
      envelopeId: envelope.envelopeId,
      timestamp: toTimestamp(envelope.timestampMs),
      ...toPayload(envelope.body),
    }),
  );
  if (bytes.length > MAX_FRAME_BYTES) {
    throw new CodedError(
      "resource_exhausted",
      `The envelope has ${bytes.length} bytes: ${MAX_FRAME_BYTES} at most; split its content`,
    );
  }
  checkShape(pb.A2AEnvelopeSchema, bytes, LIMITS);
  return bytes;
}

/**
 * An envelope from its bytes; undefined for a type that this version does not take (it must not be acknowledged).
 * @throws CodedError `invalid_argument` when the bytes are no envelope or have too many or too deeply nested fields.
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope | undefined {
  const wire = decodeWithin(pb.A2AEnvelopeSchema, bytes, LIMITS);
  const body = fromPayload(wire.payload);
  return body === undefined
    ? undefined
    : { envelopeId: wire.envelopeId, timestampMs: fromTimestamp(wire.timestamp), body };
}

function toPayload(body: EnvelopeBody): { type: pb.EnvelopeType; payload: pb.A2AEnvelope["payload"] } {
  const message = "message" in body && body.message !== undefined ? toMessage(body.message) : undefined;
  const wrap = (type: pb.EnvelopeType, payload: pb.A2AEnvelope["payload"]) => ({ type, payload });
  const Type = pb.EnvelopeType;
  switch (body.type) {
    case "send_task": {
      const { taskId, contextId, targetSkillId, metadata } = body;
      const init = { taskId, contextId, targetSkillId, metadata: { ...metadata }, message };
      return wrap(Type.SEND_TASK, { case: "sendTask", value: create(pb.SendTaskPayloadSchema, init) });
    }
    case "status_update": {
      const value = create(pb.TaskStatusUpdatePayloadSchema, {
        taskId: body.taskId,
        status: toStatus(body.status),
        message,
      });
      return wrap(Type.TASK_STATUS_UPDATE, { case: "taskStatusUpdate", value });
    }
    case "complete": {
      const artifacts = body.artifacts.map(toArtifact);
      const value = create(pb.TaskCompletePayloadSchema, { taskId: body.taskId, artifacts, message });
      return wrap(Type.TASK_COMPLETE, { case: "taskComplete", value });
    }
    case "fail": {
      const { taskId, errorMessage } = body;
      const value = create(pb.TaskFailPayloadSchema, { taskId, errorMessage, message });
      return wrap(Type.TASK_FAIL, { case: "taskFail", value });
    }
    case "cancel": {
      const value = create(pb.TaskCancelPayloadSchema, { taskId: body.taskId });
      return wrap(Type.TASK_CANCEL, { case: "taskCancel", value });
    }
    case "ack": {
      const value = create(pb.AckPayloadSchema, { acknowledgedEnvelopeId: body.acknowledgedEnvelopeId });
      return wrap(Type.ACK, { case: "ack", value });
    }
    default:
      return body satisfies never;
  }
}

/** The payload decides, not the type number: peers exist that get the number wrong. */
function fromPayload(payload: pb.A2AEnvelope["payload"]): EnvelopeBody | undefined {
  const agentMessage = (message: pb.Message | undefined) => message && fromMessage(message, "agent");
  switch (payload.case) {
    case "sendTask": {
      const { taskId, contextId, targetSkillId, metadata, message } = payload.value;
      const request = message && fromMessage(message, "user");
      return { type: "send_task", taskId, contextId, targetSkillId, metadata, message: request };
    }
    case "taskStatusUpdate": {
      const { taskId, status, message } = payload.value;
      return { type: "status_update", taskId, status: fromStatus(status), message: agentMessage(message) };
    }
    case "taskComplete": {
      const { taskId, artifacts, message } = payload.value;
      return {
        type: "complete",
        taskId,
        artifacts: artifacts.map(fromArtifact),
        message: agentMessage(message),
      };
    }
    case "taskFail": {
      const { taskId, errorMessage, message } = payload.value;
      return { type: "fail", taskId, errorMessage, message: agentMessage(message) };
    }
    case "taskCancel":
      return { type: "cancel", taskId: payload.value.taskId };
    case "ack":
      return { type: "ack", acknowledgedEnvelopeId: payload.value.acknowledgedEnvelopeId };
    default:
      return undefined;
  }
}
