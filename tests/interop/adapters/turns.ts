// Shared by the programs beside this file: gives turns to an adapted agent and prints what it says, as JSON.
import type { AgentRun, AgentSays } from "../../../sdk/adapters/mod.ts";
import type { IncomingTask, Message } from "../../../sdk/mod.ts";

/** What an agent says to one turn. */
export async function ask(
  run: AgentRun,
  text: string,
  options: { sessionId?: string; signal?: AbortSignal; earlier?: readonly Message[] } = {},
): Promise<AgentSays[]> {
  const { sessionId = "c1", signal = new AbortController().signal, earlier = [] } = options;
  const messages = [...earlier, { role: "user", parts: [{ text }] }];
  const task = { taskId: crypto.randomUUID(), contextId: sessionId, peerId: "12D3KooWSender", messages, metadata: {} };
  const turn = { text, data: undefined, parts: [], sessionId, signal, task: task as unknown as IncomingTask };
  return await Array.fromAsync(run(turn));
}

/** Two turns of one conversation, and one that is called off while it is answered. */
export async function converse(run: AgentRun): Promise<void> {
  const first = await ask(run, "My name is Ada");
  const second = await ask(run, "What is my name?");
  const stop = new AbortController();
  const stopped = (async () => {
    const turn = ask(run, "count to a million", { sessionId: "c2", signal: stop.signal });
    setTimeout(() => stop.abort(new Error("called off")), 50);
    return await turn.then(() => "answered", () => "stopped");
  })();
  console.log(JSON.stringify({ first, second, stopped: await stopped }));
}

/** What the scripted models answer: what they were told, so that a forgotten conversation shows. */
export function scripted(userTexts: readonly string[]): string[] {
  const last = userTexts.at(-1) ?? "";
  if (last.startsWith("count")) return Array.from({ length: 1_000_000 }, (_, n) => `${n} `);
  return ["You ", "said: ", userTexts.join(" | ")];
}
