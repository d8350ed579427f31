// Stands for the program that the Claude Agent SDK drives over stdio: answers by script, one turn per user message.
import { createInterface } from "node:readline";

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const args = process.argv;
const resumed = args.find((arg) => arg.startsWith("--resume="))?.slice(9) ?? (args.includes("--resume") ? args[args.indexOf("--resume") + 1] : "");
const session_id = resumed || "session-1";
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.type === "control_request") {
    say({
      type: "control_response",
      response: { subtype: "success", request_id: message.request_id, response: { commands: [], models: [], account: {} } },
    });
  } else if (message.type === "user") {
    const { content } = message.message;
    const text = typeof content === "string" ? content : content.map((part) => part.text ?? "").join("");
    const answer = ["You ", "said: ", text + (resumed ? ` (resumed ${resumed})` : "")];
    for (const delta of answer) {
      say({
        type: "stream_event",
        event: { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: delta } },
        session_id,
        parent_tool_use_id: null,
        uuid: crypto.randomUUID(),
      });
    }
    say({
      ...{ type: "result", subtype: "success", is_error: false, result: answer.join(""), session_id },
      ...{ duration_ms: 1, duration_api_ms: 1, num_turns: 1, total_cost_usd: 0, usage: {}, uuid: crypto.randomUUID() },
    });
  }
}
