import { join } from "node:path";
import { systemClock } from "../core/clock.ts";
import type { TaskHandle } from "../sdk/mod.ts";
import { startLab } from "../tests/nat/lab.ts";
import { tempDir } from "../tests/support/temp_dir.ts";
import { Bench } from "./nat_matrix.ts";

const MIB = 1024 * 1024;
/** Tasks under way at once. */
const IN_FLIGHT = 16;
/** Longest time for a task, outage included. */
const TASK_TIMEOUT_MS = 180_000;
/** Pause between tasks of {@link runCut}, and between looks at a connection. */
const PAUSE_MS = 100;
/** How long a change of the connection is waited for. */
const PATH_TIMEOUT_MS = 90_000;
/** What is readable at the start of each connection, so that a capture without it has missed everything. */
const OPENING = "/multistream/1.0.0";

/** What became of tasks while their relay was away. Times are milliseconds since it was back. */
export interface OutageResult {
  tasks: number;
  lost: number;
  /** Done before the relay was killed. */
  before: number;
  firstBackMs: number;
  lastBackMs: number;
  streamMib: number;
  /** Whether the stream came whole and as it was sent. */
  streamWhole: boolean;
  streamBackMs: number;
}

/** What is run. */
export interface OutageOptions {
  tasks: number;
  streamMib: number;
  outageMs: number;
  /** Folder for the daemons' homes. Default a temporary one. */
  folder?: string | undefined;
}

/**
 * Sends tasks between symmetric NATs, reads a stream from behind another one, and kills their only relay for `outageMs`
 * when a third of the tasks is done and a quarter of the stream is read.
 */
export async function runOutage(
  { tasks, streamMib, outageMs, folder }: OutageOptions,
): Promise<OutageResult> {
  await using lab = await startLab();
  await using dir = await tempDir();
  await using bench = await Bench.start(lab, folder ?? dir.path, { count: 1 });
  const { peerId } = await bench.agent("symmetric");
  const streaming = await bench.ownAgent("port-restricted", async (task) => {
    await task.sendArtifact({ name: "lab.bin", data: blocks(streamMib) });
    await task.complete();
  });
  const node = await bench.sender("symmetric");
  const [relay] = bench.relays;
  if (relay === undefined) throw new TypeError("the bench has no relay");
  const quarter = Promise.withResolvers<void>();
  const killed = Promise.withResolvers<void>();
  const reading = readStream(await node.sendTask("stream", { peerId: streaming.peerId }), {
    streamMib,
    onQuarter: quarter.resolve,
    killed: killed.promise,
  });
  const doneAtMs: number[] = [];
  const third = Promise.withResolvers<void>();
  let next = 0;
  let lost = 0;
  const work = async () => {
    while (next++ < tasks) {
      try {
        await (await node.sendTask("lab", { peerId })).wait({ timeoutMs: TASK_TIMEOUT_MS });
        doneAtMs.push(performance.now());
      } catch (error) {
        lost++;
        console.error("A task was lost:", error);
      }
      if (doneAtMs.length + lost >= tasks / 3) third.resolve();
    }
  };
  const working = Promise.all(Array.from({ length: IN_FLIGHT }, work));
  await Promise.all([third.promise, Promise.race([quarter.promise, reading])]);
  await relay.kill();
  killed.resolve();
  const before = doneAtMs.length;
  await systemClock.sleep(outageMs);
  await relay.start();
  const backMs = performance.now();
  await working;
  const stream = await reading;
  const after = doneAtMs.filter((atMs) => atMs > backMs).map((atMs) => Math.round(atMs - backMs));
  return {
    ...{ tasks, lost, before, firstBackMs: Math.min(...after), lastBackMs: Math.max(...after) },
    ...{ streamMib, streamWhole: stream.whole, streamBackMs: Math.round(stream.endedAtMs - backMs) },
  };
}

/** Blocks of 1 MiB, each filled with its number. */
async function* blocks(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield new Uint8Array(MIB).fill(i);
}

/** Reads the stream of a task; from the first quarter on only when the relay was killed. */
async function readStream(
  handle: TaskHandle,
  { streamMib, onQuarter, killed }: { streamMib: number; onQuarter: () => void; killed: Promise<void> },
): Promise<{ whole: boolean; endedAtMs: number }> {
  let read = 0;
  let intact = true;
  for await (const stream of handle.streams()) {
    for await (const chunk of stream) {
      intact &&= chunk.every((byte, i) => byte === (Math.floor((read + i) / MIB) & 255));
      read += chunk.length;
      if (read < streamMib * MIB / 4) continue;
      onQuarter();
      await killed;
    }
  }
  return { whole: intact && read === streamMib * MIB, endedAtMs: performance.now() };
}

/** What became of tasks while packets were swallowed below a direct connection. Times are milliseconds. */
export interface CutResult {
  tasks: number;
  lost: number;
  /** Longest time between two tasks that came back: with UDP cut off, the change to the relay. */
  longestGapMs: number;
  /** From the end of the outage until the connection was direct again; undefined when it was not within 90 s. */
  directAgainMs: number | undefined;
}

/**
 * Sends tasks one after the other between port-restricted NATs while the sender's packets are swallowed for `outageMs`: those
 * of UDP, or all of them, so that both sides hold half-open connections.
 */
export async function runCut(
  { outageMs, what, folder }: { outageMs: number; what: "udp" | "everything"; folder?: string | undefined },
): Promise<CutResult> {
  await using lab = await startLab();
  await using dir = await tempDir();
  await using bench = await Bench.start(lab, folder ?? dir.path, { count: 1 });
  const { peerId } = await bench.agent("port-restricted");
  const node = await bench.sender("port-restricted");
  const host = bench.senderHost("port-restricted");
  const backAtMs: number[] = [];
  let lost = 0;
  let ended = false;
  const working = (async () => {
    while (!ended) {
      try {
        await (await node.sendTask("lab", { peerId })).wait({ timeoutMs: TASK_TIMEOUT_MS });
        backAtMs.push(performance.now());
      } catch (error) {
        lost++;
        console.error("A task was lost:", error);
      }
      await systemClock.sleep(PAUSE_MS);
    }
  })();
  const untilBack = async (known: number) => {
    while (backAtMs.length === known) await systemClock.sleep(PAUSE_MS);
  };
  const untilPath = async (path: "direct" | "relay", timeoutMs: number) => {
    const startMs = performance.now();
    while (performance.now() - startMs < timeoutMs) {
      const peer = (await node.listPeers()).find((one) => one.peerId === peerId);
      if (peer?.connection === path) return performance.now() - startMs;
      await systemClock.sleep(PAUSE_MS);
    }
    return undefined;
  };
  try {
    if (await untilPath("direct", PATH_TIMEOUT_MS) === undefined) {
      throw new Error("the NATs were not punched");
    }
    await (what === "udp" ? host.setUdp("blocked") : host.setWire("cut"));
    const moved = what === "udp" ? untilPath("relay", PATH_TIMEOUT_MS) : undefined;
    await Promise.all([systemClock.sleep(outageMs), moved]);
    await (what === "udp" ? host.setUdp("open") : host.setWire("join"));
    // What was direct before may not have been missed yet.
    await untilBack(backAtMs.length);
    const directAgainMs = await untilPath("direct", PATH_TIMEOUT_MS);
    ended = true;
    await working;
    const gaps = backAtMs.slice(1).map((atMs, i) => atMs - (backAtMs[i] ?? atMs));
    return {
      ...{ tasks: backAtMs.length + lost, lost, longestGapMs: Math.round(Math.max(...gaps)) },
      directAgainMs: directAgainMs === undefined ? undefined : Math.round(directAgainMs),
    };
  } finally {
    ended = true;
  }
}

/** What was read on the wire of a relay. */
export interface CaptureResult {
  bytes: number;
  /** Whether the readable opening of the connections was caught, so that the capture is worth something. */
  complete: boolean;
  /** How often the text of the task was found. */
  found: number;
}

/** Captures what passes a relay's host while a task goes through it, and looks for the text of the task. */
export async function runCapture(): Promise<CaptureResult> {
  await using lab = await startLab();
  await using dir = await tempDir();
  await using bench = await Bench.start(lab, dir.path, { count: 1 });
  const [relay] = bench.relays;
  if (relay === undefined) throw new TypeError("the bench has no relay");
  const file = join(dir.path, "relay.pcap");
  const [program = "", ...args] = relay.host.command(
    ["tcpdump", "-i", "any", "-U", "-s", "0", "-Z", "root", "-w", file],
  );
  const tcpdump = new Deno.Command(program, { args, stdout: "null", stderr: "piped" }).spawn();
  const messages = tcpdump.stderr.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = ""; !said.includes("listening on");) {
    const { value, done } = await messages.read();
    if (done) throw new Error(`tcpdump ended: ${said}`);
    said += value;
  }
  const text = `readable-${crypto.randomUUID()}`;
  try {
    const { peerId } = await bench.agent("symmetric");
    const node = await bench.sender("symmetric");
    await (await node.sendTask(text, { peerId })).wait({ timeoutMs: TASK_TIMEOUT_MS });
  } finally {
    tcpdump.kill("SIGINT");
    while (!(await messages.read()).done);
    await tcpdump.status;
  }
  const captured = new TextDecoder("latin1").decode(await Deno.readFile(file));
  return {
    bytes: captured.length,
    complete: captured.includes(OPENING),
    found: captured.split(text).length - 1,
  };
}

/** Whether captures can be made here. */
export async function hasTcpdump(): Promise<boolean> {
  try {
    const tcpdump = new Deno.Command("tcpdump", { args: ["--version"], stdout: "null", stderr: "null" });
    return (await tcpdump.output()).success;
  } catch {
    return false; // It is not installed.
  }
}
