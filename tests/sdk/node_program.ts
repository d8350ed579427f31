// Programs on the SDK that run under Node.js: `agent`, `sender ADDRESS` and `leaver`.
import process from "node:process";
import { type AgentAnycastError, type IncomingTask, type MessageInput, Node } from "../../sdk/mod.ts";

/** The exit code of a program that does not end by itself, and when that is certain. */
const HANGING = { exitCode: 124, afterMs: 115_000 };
/** How long a daemon may take to start from its sources on a busy machine. */
const START_TIMEOUT_MS = 90_000;
/** A peer that is nowhere. */
const NOBODY = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

const [role, target = ""] = process.argv.slice(2);

/** Does what the first word of the task says. */
async function work(task: IncomingTask): Promise<void> {
  switch (task.text.split(" ")[0]) {
    case "ask":
      return await task.requestInput("Which one?");
    case "fail":
      throw new Error("no paper");
    case "reject":
      return await task.reject("not my job");
    case "hang":
      await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
      console.log(`ABORTED=${task.taskId}`);
      return;
    default: {
      const parts = task.messages.flatMap((message) => message.parts);
      await task.updateStatus("working", `Sent by ${task.senderCard?.name}`);
      await task.complete([{ artifactId: "1", name: "echo", parts }]);
    }
  }
}

/** Serves until it is told to stop. */
async function beAgent(node: Node): Promise<void> {
  node.onTask(work, { skill: "echo" });
  await node.start();
  process.once("SIGTERM", () => void node.stop());
  console.log(`ADDRESS=${(await node.info()).listenAddresses[0]}`);
  await node.serveForever();
  console.log("SERVED=true");
}

/** Sends one task of each kind; the last line tells what came back. */
async function beSender(node: Node): Promise<void> {
  await node.start();
  const { peerId } = await node.connectPeer(target);
  const send = (message: MessageInput) => node.sendTask(message, { peerId, targetSkill: "echo" });
  const reasonOf = (error: AgentAnycastError) => `${error.name}: ${error.message}`;

  const echo = await send([{ text: "Grüße" }, { data: { n: 1 } }, { raw: new Uint8Array([0, 255]) }]);
  const { artifacts } = await echo.wait();
  const { messages } = await echo.refresh();
  const hanging = await send("hang");
  for await (const { status } of hanging.events()) if (status === "working") await hanging.cancel();
  console.log(JSON.stringify({
    peerId,
    card: await node.getCard(peerId),
    said: messages.at(-1)?.parts,
    artifacts: artifacts.map(({ parts, ...rest }) => ({
      ...rest,
      parts: parts.map(({ text, data, raw }) => text ?? data ?? [...raw ?? []]),
    })),
    asked: await (await send("ask")).wait().catch(reasonOf),
    failed: await (await send("fail")).wait().catch(reasonOf),
    rejected: await (await send("reject")).wait().catch(reasonOf),
    canceled: await hanging.wait().catch((error) => error.name),
    nobody: (await node.sendTask("hi", { peerId: NOBODY })).status, // it waits for the peer
  }));
  await node.stop();
}

const node = new Node({
  startTimeoutMs: START_TIMEOUT_MS,
  card: { name: `The ${role}`, skills: [{ id: "echo", description: "Says it again" }] },
});
setTimeout(() => process.exit(HANGING.exitCode), HANGING.afterMs).unref();
switch (role) {
  case "agent":
    await beAgent(node);
    break;
  case "sender":
    await beSender(node);
    break;
  case "embedded":
    await new Node({ mode: "embedded" }).start().catch((error) =>
      console.log(`${error.name}: ${error.message}`)
    );
    break;
  default:
    await node.start();
    process.exit(7); // leaves its daemon to the SDK
}
