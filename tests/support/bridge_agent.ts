import type { IncomingTask } from "../../sdk/mod.ts";
import { Node } from "../../sdk/mod.ts";

/** Texts of a task that have the agent do something else than echo. */
const SCENARIOS: Readonly<Record<string, (task: IncomingTask) => Promise<void>>> = {
  "input-required": (task) => task.requestInput("What else?"),
  "auth-required": (task) => task.updateStatus("auth_required", "Log in at https://login.example"),
  "fail": (task) => task.fail("It went wrong"),
  "reject": (task) => task.reject("Not this"),
  // Ends when the task is called off, or with its next message.
  "hold": async (task) => {
    await task.updateStatus("working", "On it");
    if (task.signal.aborted) return;
    await new Promise((resolve) => task.signal.addEventListener("abort", resolve, { once: true }));
  },
  "progress": async (task) => {
    await task.updateStatus("working", "Step 1");
    await task.updateStatus("working", "Step 2");
    await task.complete("done");
  },
  "parts": async (task) => {
    const parts = task.messages.flatMap((message) => message.parts);
    await task.complete({ artifactId: "copy", name: "copy", parts });
  },
};

/** The card of the agent. */
export const BRIDGE_CARD = {
  name: "Bridge Test Agent",
  description: "Echoes, and does what a scenario asks",
  version: "2.1.0",
  skills: [{ id: "echo", name: "Echo", description: "Says it again", tags: ["test", "echo"] }],
};

/** An agent of the daemon of `home` that goes by the first text of its task. */
export async function startBridgeAgent(home: string): Promise<Node> {
  const node = new Node({ card: BRIDGE_CARD, home });
  node.onTask(async (task) => {
    const first = task.messages[0]?.parts[0]?.text ?? "";
    const isAnswer = task.messages.filter(({ role }) => role === "user").length > 1;
    const scenario = isAnswer ? undefined : SCENARIOS[first];
    if (scenario !== undefined) await scenario(task);
    else await task.complete(`Echo: ${task.messages.at(-1)?.parts[0]?.text ?? ""}`);
  });
  await node.start();
  void node.serveForever();
  return node;
}
