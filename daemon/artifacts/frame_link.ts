import type {
  ArtifactChannel,
  ArtifactLink,
  ReceiverChannel,
  SenderChannel,
  SenderMessage,
} from "../../a2a/mod.ts";
import type { FrameChannel } from "../../p2p/mod.ts";
import {
  decodeReceiverMessage,
  decodeSenderMessage,
  encodeReceiverMessage,
  encodeSenderMessage,
} from "./stream_frames.ts";

/** Opens a channel of artifacts to a peer; `unimplemented` when the peer does not speak the protocol. */
export type OpenFrameChannel = (peerId: string, options: { signal: AbortSignal }) => Promise<FrameChannel>;

/** Is told of what passes. */
export interface ChunkWatch {
  /** A chunk of so many bytes was sent, or has come. Default: nobody is told. */
  onChunk?: (bytes: number) => void;
}

/** Artifacts over channels of frames. */
export function createFrameLink(open: OpenFrameChannel, { onChunk }: ChunkWatch = {}): ArtifactLink {
  return {
    async open(peerId, options): Promise<SenderChannel> {
      const channel = await open(peerId, options);
      return over(channel, {
        encode: (message: SenderMessage) => {
          if (message.type === "chunk") onChunk?.(message.data.length);
          return encodeSenderMessage(message);
        },
        decode: decodeReceiverMessage,
      });
    },
  };
}

/** A channel that a peer has opened. */
export function toReceiverChannel(channel: FrameChannel, { onChunk }: ChunkWatch = {}): ReceiverChannel {
  return over(channel, {
    encode: encodeReceiverMessage,
    decode: (frame) => {
      const message = decodeSenderMessage(frame);
      if (message.type === "chunk") onChunk?.(message.data.length);
      return message;
    },
  });
}

function over<O, I>(
  channel: FrameChannel,
  { encode, decode }: {
    encode: (message: O) => Uint8Array | readonly Uint8Array[];
    decode: (frame: Uint8Array) => I;
  },
): ArtifactChannel<O, I> {
  return {
    peerId: channel.peerId,
    send: (message, options) => channel.send(encode(message), options),
    messages: () => decoded(channel.frames(), decode),
    close: () => channel.close(),
    abort: (reason) => channel.abort(reason),
  };
}

/** Not a generator: `return()` must get through while a frame is waited for. */
function decoded<I>(frames: AsyncIterable<Uint8Array>, decode: (frame: Uint8Array) => I): AsyncIterable<I> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = frames[Symbol.asyncIterator]();
      return {
        async next() {
          const frame = await iterator.next();
          return frame.done ? { done: true, value: undefined } : { done: false, value: decode(frame.value) };
        },
        async return() {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
