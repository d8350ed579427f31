import { toCodedError } from "../../core/errors.ts";
import type { TaskHandle } from "../../sdk/mod.ts";
import { toCall } from "../call_text.ts";
import { startDeadline } from "../deadline.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { finishTask } from "../finish_task.ts";
import { followTask } from "../follow_task.ts";
import { parsePeerTarget, type PeerTarget } from "../peer_target.ts";
import { PeerSearch } from "../peer_search.ts";
import { toUnreachable } from "../reach_peer.ts";
import { readText } from "../read_text.ts";
import { openSession, type Session } from "../session.ts";
import type { VerbContext } from "../verb.ts";

export interface SendOptions {
  readonly skill?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly context?: string;
  readonly taskId?: string;
  /** In milliseconds from now. */
  readonly deadline?: number;
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
  await using search = new PeerSearch(session, peer, signal);
  await search.checkAddress();
  const handle = await submit(session, text, { peer, options, signal });
  const onStall = () => tellStall(context, handle, { session, search });
  return options.wait
    ? await finishTask(context, handle, { onStall })
    : await leave(context, handle, { session, onStall });
}

async function submit(
  session: Session,
  text: string,
  { peer, options, signal }: { peer: PeerTarget; options: SendOptions; signal: AbortSignal },
): Promise<TaskHandle> {
  const { skill, metadata, context, taskId, deadline } = options;
  try {
    return await session.node.sendTask(text, {
      peerId: peer.peerId,
      signal,
      ...(skill !== undefined && { targetSkill: skill }),
      ...(metadata !== undefined && { metadata }),
      ...(context !== undefined && { contextId: context }),
      ...(taskId !== undefined && { taskId }),
      ...(deadline !== undefined && { deadlineMs: deadline }),
    });
  } catch (error) {
    throw toUnreachable(error);
  }
}

/** Tells a person that waits what the task is waiting for. */
async function tellStall(
  { options, output }: Context,
  { taskId }: TaskHandle,
  { session, search }: { session: Session; search: PeerSearch },
): Promise<void> {
  const look = `Come back to it: ${toCall(`task get ${taskId}`, options)}`;
  if (await search.isConnected()) {
    output.note(`The peer is there, but no agent has taken up the task yet. ${look}`);
    return;
  }
  const queued = session.isOwn
    ? `; the task is kept, and delivered while this call or \`${toCall("daemon", options)}\` runs`
    : "; the task is queued and delivered when it can be";
  output.note(`The peer has not been reached yet${queued}. ${look}`);
}

/** Prints the id of the task; a daemon of this call stays until there is a sign that the peer has it. */
async function leave(
  { options, output, signal }: Context,
  handle: TaskHandle,
  { session, onStall }: { session: Session; onStall: () => Promise<void> },
): Promise<number> {
  if (session.isOwn) {
    using deadline = startDeadline(options.timeout, signal);
    const until = () => handle.status !== "submitted";
    try {
      await followTask(handle, { signal: deadline.signal, output, until, onStall });
    } catch (error) {
      if (!deadline.signal.aborted || toCodedError(error).code !== "cancelled") throw error;
      output.note(
        `No sign of ${handle.taskId} being taken up yet: if need be it is delivered when ` +
          `\`${toCall("daemon", options)}\` runs`,
      );
    }
  }
  output.result({ taskId: handle.taskId }, () => [handle.taskId]);
  return EXIT_OK;
}
