import type { ConnectionEncrypter, MessageStream, StreamMuxerFactory } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";

/** What libp2p hands to a transport: it takes some of it, and says whether it takes more. */
interface Transport {
  sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean };
}

/** The inner parts of what Noise makes of a connection. */
interface Secured {
  readonly decoder?: { lengthDecoder(data: Uint8ArrayList): number };
}

/**
 * The encryption, made by libp2p's function for it, that writes each message in one piece with its length and finds the end
 * of what it reads without throwing.
 */
export function writingWhole<C>(make: (components: C) => ConnectionEncrypter) {
  return (components: C): ConnectionEncrypter => {
    const encrypter = make(components);
    const inbound = encrypter.secureInbound.bind(encrypter);
    const outbound = encrypter.secureOutbound.bind(encrypter);
    encrypter.secureInbound = async (connection, options) =>
      readingQuietly(await inbound(whole(connection), options));
    encrypter.secureOutbound = async (connection, options) =>
      readingQuietly(await outbound(whole(connection), options));
    return encrypter;
  };
}

/** Behind the last message there is no length yet, of which Noise is told by an error: made once per read, that is dear. */
function readingQuietly<T extends { readonly connection: MessageStream }>(secured: T): T {
  const { decoder } = secured.connection as unknown as Secured;
  const read = decoder?.lengthDecoder;
  // No number is what no length of bytes reaches: it waits for more.
  if (decoder && read) decoder.lengthDecoder = (data) => data.byteLength < 2 ? NaN : read(data);
  return secured;
}

/** Noise gives the two bytes of a length and what is behind them apart: each would be a system call and a packet of its own. */
function whole<T extends MessageStream>(connection: T): T {
  const transport = connection as unknown as Partial<Transport>;
  const send = transport.sendData?.bind(transport);
  if (send !== undefined) transport.sendData = (data) => send(new Uint8ArrayList(data.subarray()));
  return connection;
}

/** The inner parts of a stream of Yamux. */
interface YamuxStream {
  readonly state: number;
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
  sendWindowUpdate(): void;
}

/** The state of a stream whose opening was answered and that is not paused. */
const ESTABLISHED = 3;

interface YamuxMuxer {
  _newStream(...args: unknown[]): YamuxStream;
}

/** The multiplexer, made by libp2p's function for it, that tells the peer of room in a window when half of it is used up. */
export function sparingWindows<C>(make: (components: C) => StreamMuxerFactory) {
  return (components: C): StreamMuxerFactory => {
    const factory = make(components);
    const create = factory.createStreamMuxer.bind(factory);
    factory.createStreamMuxer = (connection) => {
      const muxer = create(connection);
      const inner = muxer as unknown as YamuxMuxer;
      const newStream = inner._newStream.bind(inner);
      inner._newStream = (...args) => sparing(newStream(...args));
      return muxer;
    };
    return factory;
  };
}

/** libp2p answers each frame with one that gives its bytes back: for small frames, as many again. */
function sparing(stream: YamuxStream): YamuxStream {
  const update = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    const isRoomy = stream.recvWindowCapacity > stream.recvWindow / 2;
    if (stream.state !== ESTABLISHED || !isRoomy) update();
  };
  return stream;
}
