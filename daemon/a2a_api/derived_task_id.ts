import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { type Message, MessageSchema } from "../../gen/lf/a2a/v1/a2a_pb.ts";
import type { A2aCall } from "./a2a_call.ts";

/**
 * The id of the task that a message begins: the same for each repetition of the message by its caller, whatever happened in
 * between, and nobody else's. `attempt` counts the times that the caller has used the message up.
 */
export function derivedTaskId(
  message: Message,
  { caller, binding, target }: Pick<A2aCall, "caller" | "binding" | "target">,
  attempt: number,
): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([caller, binding, target, message.messageId, attempt]))
    .update(toBinary(MessageSchema, message))
    .digest();
  // A UUID of version 8 (RFC 9562): its bits are ours to choose.
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex", 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
