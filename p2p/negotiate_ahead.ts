import type { Connection, ConnectionEncrypter, Stream } from "@libp2p/interface";
import { UnsupportedProtocolError } from "@libp2p/interface";
import type { Uint8ArrayList } from "uint8arraylist";
import { abortable } from "../core/abortable.ts";
import { concat } from "./concat.ts";
import { A2A_PROTOCOL } from "./constants.ts";

/** First line of both sides (multistream-select 1.0). */
const MULTISTREAM = "/multistream/1.0.0";
/** Every libp2p node answers it (libp2p identify specification). */
const IDENTIFY = "/ipfs/id/1.0.0";
/** Nothing comes back on it, so it would not be noticed that nobody has taken what was sent. */
const NEVER_AHEAD: readonly string[] = [A2A_PROTOCOL];

/** Anything on which a protocol is agreed: a connection that is to be encrypted, or a stream. */
interface Negotiable {
  protocol?: string;
  onData(data: Uint8Array | Uint8ArrayList): void;
  send(data: Uint8Array): boolean;
  push(data: Uint8Array): void;
  abort(error: Error): void;
  close(options?: { signal?: AbortSignal }): Promise<void>;
  addEventListener(type: "close", listener: () => void, options: { once: true }): void;
}

/** What libp2p makes connections of. */
interface Upgrader {
  upgradeOutbound(
    connection: Negotiable,
    options: { skipEncryption?: boolean; initiator?: boolean },
  ): Promise<Connection>;
}

/** libp2p's muxer of a connection. */
interface Muxer {
  createStream(options: { protocol?: string }): Promise<Stream>;
}

/** What is negotiated ahead. */
export interface AheadDeps {
  upgrader: unknown;
  /** The only encryption that is offered. */
  encryption: ConnectionEncrypter["protocol"];
  /** Told of each connection before anybody opens a stream on it. */
  onConnection(listener: (connection: Connection) => void): void;
  /** Whether a peer is known to speak `protocol`. */
  speaks(connection: Connection, protocol: string): Promise<boolean>;
}

/**
 * Saves a round trip wherever a protocol is agreed whose answer is known: what is said under it follows at once, and the
 * answer is checked when it comes, as the specification of multistream-select allows. So it is with the encryption of
 * connections, and on streams with protocols that the peer is known to speak.
 */
export function negotiateAhead({ upgrader, encryption, onConnection, speaks }: AheadDeps): void {
  const outbound = upgrader as Upgrader;
  const upgrade = outbound.upgradeOutbound.bind(outbound);
  outbound.upgradeOutbound = (connection, options) => {
    if (options.skipEncryption !== true && options.initiator !== false) {
      // libp2p asks by itself: it is given the answer that is due, and the real one is left out.
      void leaveOutAnswer(connection, encryption);
      connection.push(linesOf(encryption));
    }
    return upgrade(connection, options);
  };
  onConnection((connection) => {
    const { muxer } = connection as unknown as { muxer?: Muxer };
    if (muxer === undefined) return;
    const create = muxer.createStream.bind(muxer);
    muxer.createStream = async (options) => {
      const { protocol } = options;
      const ahead = protocol !== undefined && !NEVER_AHEAD.includes(protocol) &&
        (protocol === IDENTIFY || await speaks(connection, protocol));
      const stream = await create(options);
      if (ahead && stream.protocol === "") askAhead(stream as unknown as Negotiable, protocol);
      return stream;
    };
  });
}

/** Asks for `protocol` on a new stream and takes it for granted. */
function askAhead(stream: Negotiable, protocol: string): void {
  const answered = leaveOutAnswer(stream, protocol);
  stream.send(linesOf(protocol));
  stream.protocol = protocol;
  // libp2p's other side loses a stream whose end is there before it has answered.
  const close = stream.close.bind(stream);
  const over = new Promise<void>((resolve) => stream.addEventListener("close", resolve, { once: true }));
  stream.close = async (options) => {
    const until = Promise.race([answered, over]);
    await (options?.signal === undefined ? until : abortable(until, options.signal));
    await close(options);
  };
}

/**
 * Takes the agreement to `protocol` from the front of what comes, and resolves when all of it has come; anything else ends the
 * stream, and is what the promise rejects with.
 */
function leaveOutAnswer(
  stream: Pick<Negotiable, "onData" | "abort">,
  protocol: string,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {
    // Whoever does not wait for the answer is told by the stream.
  });
  const due = linesOf(protocol);
  const take = stream.onData.bind(stream);
  let came = 0;
  stream.onData = (data) => {
    const bytes = data.subarray();
    const answer = bytes.subarray(0, due.length - came);
    if (answer.some((byte, i) => byte !== due[came + i])) {
      const refused = new UnsupportedProtocolError(`The peer does not speak ${protocol}`);
      reject(refused);
      return stream.abort(refused);
    }
    came += answer.length;
    if (came < due.length) return;
    stream.onData = take;
    take(bytes.subarray(answer.length));
    resolve();
  };
  return promise;
}

/** What either side says to agree on `protocol`: two lines, each behind its length. */
function linesOf(protocol: string): Uint8Array {
  return concat([MULTISTREAM, protocol].map((line) => {
    const text = new TextEncoder().encode(`${line}\n`);
    // Protocols are shorter than 128 bytes, so their length is one byte.
    return concat([Uint8Array.of(text.length), text]);
  }));
}
