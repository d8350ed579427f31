/** An A2A agent over plain HTTP that answers each message with a completed task holding its text. */
import { TaskState } from "@a2a-js/sdk";
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from "@a2a-js/sdk/server";
import { echoCard } from "./http_a2a_card.ts";

const executor: AgentExecutor = {
  execute({ taskId, contextId, userMessage }, bus) {
    bus.publish(AgentEvent.task({
      id: taskId,
      contextId,
      status: {
        state: TaskState.TASK_STATE_COMPLETED,
        message: undefined,
        timestamp: new Date().toISOString(),
      },
      artifacts: [{
        artifactId: "echo",
        name: "",
        description: "",
        parts: userMessage.parts,
        metadata: undefined,
        extensions: [],
      }],
      history: [],
      metadata: undefined,
    }));
    bus.finished();
    return Promise.resolve();
  },
  cancelTask: () => Promise.resolve(),
};

// The server reads nothing of its card but the protocol version.
const transport = new JsonRpcTransportHandler(
  new DefaultRequestHandler(echoCard("http://127.0.0.1"), new InMemoryTaskStore(), executor),
);
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
  const context = new ServerCallContext({ requestedVersion: request.headers.get("A2A-Version") ?? "0.3" });
  return Response.json(await transport.handle(await request.text(), context));
});
console.log(`READY=http://127.0.0.1:${server.addr.port}`);
