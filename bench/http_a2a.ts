import { Role } from "@a2a-js/sdk";
import { type Client, ClientFactory } from "@a2a-js/sdk/client";
import type { Contender } from "./contender.ts";
import { echoCard } from "./http_a2a_card.ts";
import { startHelper } from "./programs.ts";

/** The official A2A SDK over plain HTTP: two processes, one hop each way, nothing is encrypted or stored. */
export async function startHttpA2a(): Promise<Contender> {
  await using stack = new AsyncDisposableStack();
  const { pid, ready: url } = stack.use(await startHelper("http_a2a_server.ts"));
  const client = await new ClientFactory().createFromAgentCard(echoCard(url));
  const owned = stack.move();
  return {
    pids: [pid],
    roundTrip: (text) => sendText(client, text),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Sends a text as a message and answers the text of the task's first result. */
export async function sendText(client: Client, text: string): Promise<string> {
  const content = { $case: "text" as const, value: text };
  const task = await client.sendMessage({
    tenant: "",
    message: {
      messageId: crypto.randomUUID(),
      contextId: "",
      taskId: "",
      role: Role.ROLE_USER,
      parts: [{ content, metadata: undefined, filename: "", mediaType: "" }],
      metadata: undefined,
      extensions: [],
      referenceTaskIds: [],
    },
    configuration: undefined,
    metadata: undefined,
  });
  const answer = "artifacts" in task ? task.artifacts[0]?.parts[0]?.content : undefined;
  return answer?.$case === "text" ? answer.value : "";
}
