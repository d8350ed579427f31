import { Role } from "@a2a-js/sdk";
import { ClientFactory } from "@a2a-js/sdk/client";
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
    async roundTrip(text) {
      const part = {
        content: { $case: "text" as const, value: text },
        metadata: undefined,
        filename: "",
        mediaType: "",
      };
      const task = await client.sendMessage({
        tenant: "",
        message: {
          messageId: crypto.randomUUID(),
          contextId: "",
          taskId: "",
          role: Role.ROLE_USER,
          parts: [part],
          metadata: undefined,
          extensions: [],
          referenceTaskIds: [],
        },
        configuration: undefined,
        metadata: undefined,
      });
      const content = "artifacts" in task ? task.artifacts[0]?.parts[0]?.content : undefined;
      return content?.$case === "text" ? content.value : "";
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
