import type { TaskHandle } from "../../sdk/mod.ts";
import { toCall } from "../call_text.ts";
import { type Deadline, startDeadline } from "../deadline.ts";
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK } from "../exit_codes.ts";
import { followTask } from "../follow_task.ts";
import { parsePeerTarget, type PeerTarget } from "../peer_target.ts";
import { reachPeer, toUnreachable } from "../reach_peer.ts";
import { readText } from "../read_text.ts";
import { openSession, type Session } from "../session.ts";
import { printResult, saveResult } from "../task_result.ts";
import type { VerbContext } from "../verb.ts";

export interface SendOptions {
  readonly skill?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly timeout: number;
  readonly wait: boolean;
  readonly output?: string;
}

type Context = VerbContext<SendOptions>;

/** Sends a task, follows it to its end and prints its result. */
export async function run(context: Context): Promise<number> {
  const { args: [target = "", message = ""], options, stdin, signal, logger } = context;
  const peer = parsePeerTarget(target);
  const text = message === "-" ? await readText(stdin) : message;
  await using session = await openSession(context.loadConfig(), { logger, signal });
  using deadline = startDeadline(options.timeout, signal);
  const handle = await submit(session, { peer, text, deadline, options });
  return options.wait
    ? await finish(context, handle, deadline)
    : await leave(context, handle, { session, deadline });
}

interface Submission {
  peer: PeerTarget;
  text: string;
  deadline: Deadline;
  options: SendOptions;
}

async function submit(session: Session, { peer, text, deadline, options }: Submission): Promise<TaskHandle> {
  const { signal } = deadline;
  const { skill, metadata } = options;
  try {
    if (session.isOwn || peer.addresses.length > 0) await reachPeer(session, peer, { signal });
    return await session.node.sendTask(text, {
      peerId: peer.peerId,
      signal,
      ...(skill !== undefined && { targetSkill: skill }),
      ...(metadata !== undefined && { metadata }),
    });
  } catch (error) {
    deadline.throwIfExpired(`Cannot reach ${peer.peerId} within ${options.timeout / 1000} s`);
    throw toUnreachable(error);
  }
}

/** Waits for the end of the task and prints what came of it. */
async function finish(context: Context, handle: TaskHandle, deadline: Deadline): Promise<number> {
  const { options, output, signal } = context;
  const look = toCall(`task get ${handle.taskId}`, options);
  try {
    await followTask(handle, { signal: deadline.signal, output });
  } catch (error) {
    if (signal.aborted) {
      output.note(`Stopped waiting; the task goes on. Look at it later: ${look}`);
      return EXIT_INTERRUPTED;
    }
    deadline.throwIfExpired(
      `No result within ${options.timeout / 1000} s; the task goes on. Look at it later: ${look}`,
    );
    throw error;
  }
  const task = await handle.refresh();
  if (output.json) output.result(task, () => []);
  else printResult(task, output);
  if (options.output !== undefined) await saveResult(task, options.output, output);
  return task.status === "completed" ? EXIT_OK : EXIT_FAILURE;
}

/** Prints the id of the task; a daemon of this call stays until there is a sign that the peer has it. */
async function leave(
  { options, output }: Context,
  handle: TaskHandle,
  { session, deadline }: { session: Session; deadline: Deadline },
): Promise<number> {
  if (session.isOwn) {
    try {
      await followTask(handle, {
        signal: deadline.signal,
        output,
        until: (status) => status !== "submitted",
      });
    } catch (error) {
      if (!deadline.signal.aborted) throw error;
      output.note(
        `No sign of ${handle.taskId} being taken up yet: if need be it is delivered when ` +
          `\`${toCall("daemon", options)}\` runs`,
      );
    }
  }
  output.result({ taskId: handle.taskId }, () => [handle.taskId]);
  return EXIT_OK;
}
