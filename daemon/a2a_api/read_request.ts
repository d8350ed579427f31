import {
  type DescMessage,
  fromJson,
  type JsonValue as WireJson,
  type MessageShape,
} from "@bufbuild/protobuf";
import { errorMessage } from "../../core/errors.ts";
import { isJsonObject, type JsonValue } from "../../core/json.ts";
import { ListTasksRequestSchema, TaskState } from "../../gen/lf/a2a/v1/a2a_pb.ts";
import { invalid } from "./message_in.ts";

/**
 * A request from its JSON (ProtoJSON of A2A 1.0); members that are not known are passed over.
 * @throws CodedError `invalid_argument`.
 */
export function readRequest<D extends DescMessage>(schema: D, json: JsonValue | undefined): MessageShape<D> {
  if (!isJsonObject(json)) throw invalid("params", "must be an object");
  if ((schema as DescMessage) === ListTasksRequestSchema) checkStatus(json.status);
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
  if (status.startsWith("TASK_STATE_") && status.slice("TASK_STATE_".length) in TaskState) return;
  throw invalid("status", `is no state of a task: ${status.slice(0, 64)}`);
}
