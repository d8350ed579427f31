import { Node } from "../../sdk/mod.ts";
import { toCall } from "../call_text.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { type Output, visible } from "../output.ts";
import { announce, type OwnDaemon, startOwnDaemon, untilStopped } from "../own_daemon.ts";
import { shorten } from "../task_text.ts";
import type { VerbContext } from "../verb.ts";

const CARD = {
  name: "Echo Agent",
  description: "Sends back what it is sent",
  skills: [{ id: "echo", description: "Answers `Echo: ` and the text of the task" }],
};

/** Runs a daemon and, attached to it, an agent that echoes. */
export async function run({ output, signal, loadConfig }: VerbContext): Promise<number> {
  await using own = await startOwnDaemon(loadConfig, { output, quiet: false });
  await using node = await startEchoAgent(own, output); // first, so that whoever reads the address finds the agent
  announce(own.daemon, output);
  describe(own, output);
  await untilStopped(own.daemon, signal);
  await node.stop();
  return EXIT_OK;
}

async function startEchoAgent({ daemon, log }: OwnDaemon, output: Output): Promise<Node> {
  const node = new Node({
    card: CARD,
    daemonAddr: daemon.grpcAddress,
    onStatus: ({ state, message, error }) => {
      if (state === "error") log.logger.warn(message, { error });
    },
  });
  node.onTask(async (task) => {
    const startedAtMs = performance.now();
    const reply = `Echo: ${task.text}`;
    await task.complete(reply);
    const tookMs = (performance.now() - startedAtMs).toFixed(1);
    output.print(
      `${visible(task.taskId.slice(0, 8))}  ${tookMs} ms  ${shorten(task.text)}  ->  ${shorten(reply)}`,
    );
  });
  await node.start();
  return node;
}

/** What a person can try now. */
function describe({ daemon }: OwnDaemon, output: Output): void {
  const address = daemon.addresses()[0] ?? daemon.peerId;
  output.print(`${output.style("bold", CARD.name)} is running; Ctrl+C ends it. Try in another terminal:`);
  output.print(`  ${toCall(`send ${address} 'Hello, world!'`, { home: "~/.agentanycast-client" })}`);
}
