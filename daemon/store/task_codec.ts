import type { OutboxEntry, OutboxLane, TaskRecord } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import { OutboxRecordSchema, TaskRecordSchema } from "../../gen/agentanycast/store/v1/records_pb.ts";
import { decodeMessage, encodeMessage } from "../../rpc/codecs.ts";
import { decodeEnvelope, fromEnvelopeType, toEnvelopeType } from "../convert/envelope.ts";
import { fromStatus, fromTask, toStatus, toTask } from "../convert/task.ts";
import { fromTimestamp, toTimestamp } from "../convert/time.ts";

/** A record as it lies in the store. */
export function encodeTaskRecord(record: TaskRecord): Uint8Array {
  const { task, events, envelopeIds, awaitsAgent, claimId, sendSequence, route } = record;
  return encodeMessage(TaskRecordSchema, {
    task: toTask(task, ""),
    events: events.map(({ generation, status, atMs, messageId }) => ({
      generation: BigInt(generation),
      status: toStatus(status),
      at: toTimestamp(atMs),
      messageId,
    })),
    envelopeIds: [...envelopeIds],
    awaitsAgent,
    claimId,
    sendSequence: BigInt(sendSequence),
    route: route && {
      skillId: route.skillId,
      tags: { ...route.tags },
      refusals: route.refusals.map(({ peerId, reason }) => ({ peerId, reason })),
    },
  });
}

/** A record from the store. @throws CodedError `data_loss`. */
export function decodeTaskRecord(taskId: string, bytes: Uint8Array): TaskRecord {
  try {
    const { task, events, envelopeIds, awaitsAgent, claimId, sendSequence, route } = decodeMessage(
      TaskRecordSchema,
      bytes,
    );
    if (task === undefined) throw new Error("the record is empty");
    if (task.taskId !== taskId) throw new Error(`it is the record of ${task.taskId}`);
    return {
      task: fromTask(task),
      events: events.map((event) => ({
        generation: Number(event.generation),
        status: fromStatus(event.status),
        atMs: fromTimestamp(event.at),
        messageId: event.messageId,
      })),
      envelopeIds,
      awaitsAgent,
      claimId,
      sendSequence: Number(sendSequence),
      ...(route && {
        route: {
          skillId: route.skillId,
          tags: route.tags,
          refusals: route.refusals.map(({ peerId, reason }) => ({ peerId, reason })),
        },
      }),
    };
  } catch (cause) {
    throw new CodedError("data_loss", `The record of task ${taskId} is damaged`, { cause });
  }
}

/** A waiting envelope as it lies in the store. */
export function encodeOutboxEntry(entry: OutboxEntry): Uint8Array {
  return encodeMessage(OutboxRecordSchema, {
    taskId: entry.taskId,
    envelope: entry.bytes,
    envelopeId: entry.envelopeId,
    queuedAt: toTimestamp(entry.queuedAtMs),
    expiresAt: toTimestamp(entry.expiresAtMs),
    type: toEnvelopeType(entry.type),
  });
}

/** A waiting envelope from the store. @throws CodedError `data_loss`. */
export function decodeOutboxEntry(
  place: { peerId: string; lane: OutboxLane; sequence: number },
  bytes: Uint8Array,
): OutboxEntry {
  try {
    const record = decodeMessage(OutboxRecordSchema, bytes);
    const type = fromEnvelopeType(record.type) ?? typeOf(record.envelope);
    if (type === undefined) throw new Error("the envelope is of an unknown type");
    return {
      ...place,
      taskId: record.taskId,
      envelopeId: record.envelopeId,
      type,
      bytes: record.envelope,
      queuedAtMs: fromTimestamp(record.queuedAt),
      expiresAtMs: fromTimestamp(record.expiresAt),
    };
  } catch (cause) {
    const where = `${place.sequence} for ${place.peerId}`;
    throw new CodedError("data_loss", `The waiting envelope ${where} is damaged`, { cause });
  }
}

/** The type of an envelope whose record, of an earlier version, does not say it. */
function typeOf(envelope: Uint8Array): OutboxEntry["type"] | undefined {
  const decoded = decodeEnvelope(envelope);
  return decoded?.kind === "envelope" ? decoded.envelope.body.type : undefined;
}
