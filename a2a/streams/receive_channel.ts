import { abortable } from "../../core/abortable.ts";
import { CodedError, toCodedError } from "../../core/errors.ts";
import type { ReceivedArtifact } from "./received_artifact.ts";
import type { StreamOptions } from "./stream_options.ts";
import type { ReceiverChannel, SenderMessage } from "./stream_ports.ts";
import type { Wakeup } from "./wakeup.ts";

export interface ReceiveChannelDeps {
  channel: ReceiverChannel;
  messages: AsyncIterator<SenderMessage>;
  artifact: ReceivedArtifact;
  /** Wakes when the artifact may have changed. */
  changed: Wakeup;
  options: StreamOptions;
}

/**
 * Takes an artifact from its channel until it has ended; false when the channel broke before, and another may go on. Throws what
 * the peer did wrong, why the artifact was stopped, or the reason of `signal`.
 */
export async function receiveArtifact(deps: ReceiveChannelDeps, signal: AbortSignal): Promise<boolean> {
  const { channel, messages, artifact, options } = deps;
  const broken = new AbortController();
  const stop = AbortSignal.any([signal, artifact.stopped, broken.signal]);
  const breaks = (error: unknown) => broken.abort(toCodedError(error));
  await artifact.prepare();
  const nextSequence = artifact.nextSequence;
  await channel.send({ type: "accepted", nextSequence, windowBytes: options.windowBytes }).catch(breaks);
  const acknowledging = acknowledge(deps, { from: nextSequence, signal: stop }).catch(breaks);
  try {
    while (true) {
      const message = await abortable(nextMessage(messages, breaks), stop);
      if (message === undefined) return false;
      if (message.type === "open") throw new CodedError("invalid_argument", "The channel was opened twice");
      if (message.type === "chunk") {
        await artifact.append(message);
        continue;
      }
      await artifact.finish(message.end);
      await channel.send({ type: "done" }, { signal }).catch(breaks);
      return true;
    }
  } catch (error) {
    if (broken.signal.aborted && error === broken.signal.reason) return false;
    throw error;
  } finally {
    breaks(new CodedError("cancelled", "The channel is over"));
    await acknowledging;
  }
}

async function nextMessage(
  messages: AsyncIterator<SenderMessage>,
  breaks: (error: unknown) => void,
): Promise<SenderMessage | undefined> {
  try {
    const message = await messages.next();
    return message.done ? undefined : message.value;
  } catch (error) {
    breaks(error);
    return undefined;
  }
}

async function acknowledge(
  { channel, artifact, changed }: ReceiveChannelDeps,
  { from, signal }: { from: number; signal: AbortSignal },
): Promise<void> {
  let told = from;
  while (!signal.aborted) {
    const change = changed.next;
    const nextSequence = artifact.acknowledged;
    if (nextSequence > told) {
      await channel.send({ type: "acknowledged", nextSequence }, { signal });
      told = nextSequence;
    } else {
      await abortable(change, signal);
    }
  }
}

/** Tells the sender why nothing is taken, and ends the channel. */
export async function refuse(channel: ReceiverChannel, error: unknown): Promise<void> {
  const { code, message } = toCodedError(error);
  try {
    await channel.send({ type: "refused", code, message });
    await channel.close();
  } catch (cause) {
    channel.abort(toCodedError(cause)); // A peer that is gone needs no answer.
  }
}
