import {
  type DescMessage,
  fromJson,
  type JsonValue as WireJson,
  type MessageShape,
} from "@bufbuild/protobuf";
import { errorMessage } from "../../core/errors.ts";
import { isJsonObject, type JsonValue } from "../../core/json.ts";
import * as pb from "../../gen/lf/a2a/v1/a2a_pb.ts";
import { invalid } from "./message_in.ts";

type Reader<D extends DescMessage> = (json: JsonValue | undefined) => MessageShape<D>;

const reader = <D extends DescMessage>(schema: D): Reader<D> => (json) => readRequest(schema, json);

/** The requests of the operations from their JSON (ProtoJSON of A2A 1.0). Each throws CodedError `invalid_argument`. */
export const read = {
  sendMessage: reader(pb.SendMessageRequestSchema),
  getTask: reader(pb.GetTaskRequestSchema),
  listTasks: reader(pb.ListTasksRequestSchema),
  cancelTask: reader(pb.CancelTaskRequestSchema),
  subscribeToTask: reader(pb.SubscribeToTaskRequestSchema),
  createPushConfig: reader(pb.TaskPushNotificationConfigSchema),
  getPushConfig: reader(pb.GetTaskPushNotificationConfigRequestSchema),
  listPushConfigs: reader(pb.ListTaskPushNotificationConfigsRequestSchema),
  deletePushConfig: reader(pb.DeleteTaskPushNotificationConfigRequestSchema),
};

/**
 * A request from its JSON (ProtoJSON of A2A 1.0); members that are not known are passed over.
 * @throws CodedError `invalid_argument`.
 */
function readRequest<D extends DescMessage>(schema: D, json: JsonValue | undefined): MessageShape<D> {
  if (!isJsonObject(json)) throw invalid("params", "must be an object");
  if ((schema as DescMessage) === pb.ListTasksRequestSchema) checkStatus(json.status);
  try {
    return fromJson(schema, json as WireJson, { ignoreUnknownFields: true });
  } catch (error) {
    // Deep nesting ends the reader's stack.
    if (error instanceof RangeError) throw invalid("params", "are nested too deeply");
    throw invalid("params", `cannot be read: ${errorMessage(error)}`);
  }
}

/** A name that is not known would be passed over, and all tasks listed. */
function checkStatus(status: JsonValue | undefined): void {
  if (typeof status !== "string" || status === "") return;
  if (status.startsWith("TASK_STATE_") && status.slice("TASK_STATE_".length) in pb.TaskState) return;
  throw invalid("status", `is no state of a task: ${status.slice(0, 64)}`);
}
