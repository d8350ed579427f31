import { FROM_SOURCE, makeHome, startDaemonProgram, startHelper } from "./programs.ts";
import { askForTransfer, type StreamContender, type StreamContenderEntry } from "./stream_contender.ts";

/** Streamed artifacts of this program. The side that sent the task takes the orders; it is the first of the processes. */
export const ARTIFACT_STREAMS: readonly StreamContenderEntry[] = [
  { name: "engine", start: () => startEngineStream({ isRead: false }) },
  { name: "engine-read", start: () => startEngineStream({ isRead: true }) },
  { name: "sdk", start: startSdkStream },
];

/** From an engine to the disk of the one that sent it a task, and to a subscriber there: two processes. */
async function startEngineStream({ isRead }: { isRead: boolean }): Promise<StreamContender> {
  await using stack = new AsyncDisposableStack();
  const [nearHome, farHome] = [stack.use(await makeHome()).path, stack.use(await makeHome()).path];
  const far = stack.use(await startHelper("engine_stream.ts", [farHome]));
  const near = stack.use(await startHelper("engine_stream.ts", [nearHome, far.ready, String(isRead)]));
  const owned = stack.move();
  return {
    pids: [near.pid, far.pid],
    transfer: (options) => askForTransfer(near, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** From an agent through two daemons to the program that sent it a task and reads: four processes. */
async function startSdkStream(): Promise<StreamContender> {
  await using stack = new AsyncDisposableStack();
  const near = stack.use(await startDaemonProgram(FROM_SOURCE));
  const far = stack.use(await startDaemonProgram(FROM_SOURCE));
  const agent = stack.use(await startHelper("sdk_stream.ts", [far.grpcAddress]));
  const client = stack.use(
    await startHelper("sdk_stream.ts", [near.grpcAddress, far.address, agent.ready]),
  );
  const owned = stack.move();
  return {
    pids: [client.pid, near.pid, far.pid, agent.pid],
    transfer: (options) => askForTransfer(client, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
