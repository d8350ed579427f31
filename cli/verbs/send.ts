import { CodedError, toCodedError } from "../../core/errors.ts";
import { orderedId } from "../../core/ordered_id.ts";
import type { SendTaskOptions, TaskHandle } from "../../sdk/mod.ts";
import { toCall } from "../call_text.ts";
import { startDeadline } from "../deadline.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { finishTask } from "../finish_task.ts";
import { followTask } from "../follow_task.ts";
import { findWithPatience } from "../find_with_patience.ts";
import { parsePeerTarget } from "../peer_target.ts";
import { PeerSearch } from "../peer_search.ts";
import { toUnreachable } from "../reach_peer.ts";
import { readText } from "../read_text.ts";
import { openSession, type Session } from "../session.ts";
import type { VerbContext } from "../verb.ts";

export interface SendOptions {
  readonly skill?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly url?: string;
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
  const { options, stdin, signal, logger } = context;
  const { target, url, message } = readArguments(context);
  const text = message === "-" ? await readText(stdin) : message;
  if (url !== undefined) return await sendToUrl(context, text, url);
  if (target === undefined) return await sendToSkill(context, text);
  const peer = parsePeerTarget(target);
  await using session = await openSession(context.loadConfig(), { logger, signal });
  await using search = new PeerSearch(session, peer, signal);
  await search.checkAddress();
  const handle = await session.node.sendTask(text, { ...toRequest(options), peerId: peer.peerId, signal })
    .catch((error) => {
      throw toUnreachable(error);
    });
  const onStall = () => tellStall(context, handle, { session, search });
  return options.wait
    ? await finishTask(context, handle, { onStall })
    : await leave(context, handle, { session, onStall });
}

/** A skill or `--url` makes the target needless; what is there alone is then the message. */
function readArguments(
  { args: [first, second], options }: Context,
): { target?: string; url?: string; message: string } {
  const { skill, tag, url } = options;
  if (first !== undefined && second !== undefined) {
    if (url !== undefined) throw invalid("--url is the target: leave the other one out");
    if (tag !== undefined) throw invalid("A tag chooses among agents: leave the target out, or the tags");
    return /^https?:\/\//.test(first) ? { url: first, message: second } : { target: first, message: second };
  }
  if (first !== undefined && url !== undefined) return { url, message: first };
  if (first !== undefined && skill !== undefined) return { message: first };
  throw invalid(
    "Name a target and a message, or --url or --skill and a message: see `agentanycast send --help`",
  );
}

function invalid(message: string): CodedError {
  return new CodedError("invalid_argument", message);
}

/** Sends a task to the agent behind a URL. */
async function sendToUrl(context: Context, text: string, url: string): Promise<number> {
  const { options, output, signal, logger } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal });
  const handle = await session.node.sendTask(text, { ...toRequest(options), url, signal });
  const onStall = () => {
    const look = toCall(`task get ${handle.taskId}`, options);
    output.note(`The agent has not taken it up yet; it is asked again and again. Come back to it: ${look}`);
    return Promise.resolve();
  };
  return options.wait
    ? await finishTask(context, handle, { onStall })
    : await leave(context, handle, { session, onStall });
}

/** Sends a task to any agent that has the skill. */
async function sendToSkill(context: Context, text: string): Promise<number> {
  const { options, signal, logger } = context;
  const { skill = "", tag: skillTags = {} } = options;
  const { targetSkill: _same, taskId = orderedId(), ...request } = toRequest(options);
  await using session = await openSession(context.loadConfig(), { logger, signal });
  const handle = await findWithPatience(
    session,
    () => session.node.sendTask(text, { ...request, taskId, skill, skillTags, signal }),
    { signal },
  );
  const onStall = async () => {
    const { peerId = "" } = await session.node.getTask(handle.taskId);
    context.output.note(
      `${peerId === "" ? "No agent has been reached" : `${peerId} has not taken it up`} yet. ` +
        `Come back to it: ${toCall(`task get ${handle.taskId}`, options)}`,
    );
  };
  return options.wait
    ? await finishTask(context, handle, { onStall })
    : await leave(context, handle, { session, onStall });
}

function toRequest({ skill, metadata, context, taskId, deadline }: SendOptions): SendTaskOptions {
  return {
    ...(skill !== undefined && { targetSkill: skill }),
    ...(metadata !== undefined && { metadata }),
    ...(context !== undefined && { contextId: context }),
    ...(taskId !== undefined && { taskId }),
    ...(deadline !== undefined && { deadlineMs: deadline }),
  };
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
