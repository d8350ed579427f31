// A program on the existing network's TypeScript SDK that runs under Node.js, set up by its
// argument. It does what it reads line by line on standard input, and answers each line with one.
import process from "node:process";
import { createInterface } from "node:readline";
import { type IncomingTask, Node, type TaskHandle, TaskStatus } from "agentanycast";
import type { Answer, Calls, Command, Setup } from "./existing_sdk.ts";

/** Does what the first word of the task says. */
async function work(task: IncomingTask): Promise<void> {
  const [word, ...rest] = task.messages[0]?.parts[0]?.text?.split(" ") ?? [];
  if (word === "throw") throw new Error(rest.join(" "));
  await task.updateStatus(TaskStatus.WORKING);
  if (word === "fail") return await task.fail(rest.join(" "));
  if (word === "ask") {
    return await task.requestInput({ role: "agent", parts: [{ text: rest.join(" ") }] });
  }
  const parts = [...task.messages.flatMap((message) => message.parts), { text: `${task.senderCard?.name}` }];
  await task.complete([{ artifactId: "1", name: "echo", parts }]);
}

const { home, daemon: daemonPath, daemonAddr, relay } = JSON.parse(process.argv[2] ?? "") as Setup;
const node = new Node({
  card: { name: "Theirs", skills: [{ id: "echo", description: "Says it again" }] },
  ...{ home, daemonPath, ...(daemonAddr && { daemonAddr }), ...(relay && { relay }) },
});
node.onTask(work);
const handles = new Map<string, TaskHandle>();
const handleOf = (taskId: string) => handles.get(taskId) as TaskHandle;

const calls: Calls = {
  async start() {
    await node.start();
    void node.serveForever();
    return node.peerId;
  },
  connectPeer: (peerId, addresses) => node.connectPeer(peerId, addresses),
  getCard: (peerId) => node.getCard(peerId),
  async listPeers() {
    return (await node.listPeers()).map(({ peerId }) => peerId);
  },
  discover: (skill) => node.discover(skill),
  async sendTask(target, parts) {
    const handle = await node.sendTask({ role: "user", parts }, target);
    handles.set(handle.taskId, handle);
    return handle.taskId;
  },
  wait: (taskId) => handleOf(taskId).wait(),
  stream: () => Promise.reject(new Error("This SDK has no streams")),
  cancel: (taskId) => handleOf(taskId).cancel(),
  stop: () => node.stop(),
};

async function run({ id, call, args }: Command): Promise<Answer> {
  try {
    const result = await (calls[call] as (...args: unknown[]) => Promise<unknown>)(...args);
    return { id, result };
  } catch (error) {
    const { name, message } = error as Error;
    return { id, error: { name, message } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  void run(JSON.parse(line)).then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
}
process.exit(0);
