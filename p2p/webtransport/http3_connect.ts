import { concat } from "../concat.ts";
import { ascii } from "../der.ts";
import { ByteSource } from "./byte_source.ts";
import { decodeVarint, encodeVarint, varintLength } from "./varint.ts";

/** Path under which libp2p is spoken, with Noise. */
const WEBTRANSPORT_PATH = "/.well-known/libp2p-webtransport?type=noise";

const CONTROL_STREAM = 0x00;
const SETTINGS_FRAME = 0x04;
const HEADERS_FRAME = 0x01;
/** Longest frame that is read; those of a session are a few dozen bytes. */
const MAX_FRAME_BYTES = 16 * 1024;
/** Frames and streams that say nothing to us, which may come before the one that is waited for. */
const MAX_SKIPPED = 8;

const ENABLE_CONNECT_PROTOCOL = 0x08;
const H3_DATAGRAM = 0x33;
const H3_DATAGRAM_DRAFT_4 = 0xffd277;
/** Settings by which the drafts of WebTransport that are in use say that it is spoken. */
const ENABLE_WEBTRANSPORT_DRAFT_2 = 0x2b603742;
const MAX_SESSIONS_DRAFT_2 = 0x2b603743;
const MAX_SESSIONS_DRAFT_7 = 0xc671706a;
const SPOKEN = [ENABLE_WEBTRANSPORT_DRAFT_2, MAX_SESSIONS_DRAFT_7];

/** Compressed header fields (RFC 9204) without a dynamic table: entries of the static table and plain texts. */
const NO_DYNAMIC_TABLE = Uint8Array.of(0, 0);
const METHOD_CONNECT = Uint8Array.of(0xc0 | 15);
const SCHEME_HTTPS = Uint8Array.of(0xc0 | 23);
const AUTHORITY = 0;
const PATH = 1;
/** Answers that say 200: from the static table, or its name with the text, plain or by Huffman's code. */
const STATUS_200 = ["d9", "5f0903323030", "5f09821001"];

/** A session of WebTransport, the only one of its QUIC connection. */
export interface WebTransportSession {
  /** Number of the stream that carries the session; it stands in front of all the others. */
  readonly id: number;
  /** Resolves when the peer ends the session. */
  readonly ended: Promise<void>;
  /** What may not be collected before the session ends: Deno closes streams that nobody holds. */
  readonly held: readonly unknown[];
}

/** Asks the server at the other end of `quic` for a session at the path of libp2p. Rejects when it has none. */
export async function openSession(quic: Deno.QuicConn, authority: string): Promise<WebTransportSession> {
  const control = await sendSettings(quic);
  const theirs = await readSettings(quic);
  const connect = await quic.createBidirectionalStream();
  const writer = connect.writable.getWriter();
  await writer.write(frame(HEADERS_FRAME, requestFields(authority)));
  const answer = new ByteSource(connect.readable);
  const fields = await readFrame(answer, HEADERS_FRAME);
  const status = fields.subarray(NO_DYNAMIC_TABLE.length).toHex();
  if (!STATUS_200.some((ok) => status.startsWith(ok))) {
    throw new Error("the server has no libp2p at its WebTransport");
  }
  return {
    id: Number(connect.writable.id),
    ended: answer.drain(),
    held: [control, connect, writer, ...theirs],
  };
}

/**
 * Gives the client at the other end of `quic` the session that its first stream asks for. What it asks for is not read: the
 * port has nothing but libp2p, and who comes in is decided by Noise. (Deno's `upgradeWebTransport` leaks a stream for each
 * handshake that fails, and strangers decide on that.)
 */
export async function acceptSession(quic: Deno.QuicConn): Promise<WebTransportSession> {
  const control = await sendSettings(quic);
  const streams = quic.incomingBidirectionalStreams.getReader();
  const { value: connect } = await streams.read();
  streams.releaseLock();
  if (connect === undefined) throw new Error("the peer opened no stream");
  const request = new ByteSource(connect.readable);
  await readFrame(request, HEADERS_FRAME);
  const writer = connect.writable.getWriter();
  await writer.write(frame(HEADERS_FRAME, ANSWER_FIELDS));
  return {
    id: Number(connect.writable.id),
    ended: request.drain(),
    held: [control, connect, writer],
  };
}

/** Opens the stream that says what this side speaks; it stays open. */
async function sendSettings(quic: Deno.QuicConn): Promise<unknown> {
  const control = await quic.createUnidirectionalStream();
  const settings = [
    [ENABLE_CONNECT_PROTOCOL, 1],
    [H3_DATAGRAM, 1],
    [H3_DATAGRAM_DRAFT_4, 1],
    [ENABLE_WEBTRANSPORT_DRAFT_2, 1],
    [MAX_SESSIONS_DRAFT_2, 1],
    [MAX_SESSIONS_DRAFT_7, 1],
  ].flat().map(encodeVarint);
  const writer = control.getWriter();
  await writer.write(concat([Uint8Array.of(CONTROL_STREAM), frame(SETTINGS_FRAME, concat(settings))]));
  return [control, writer];
}

const ANSWER_FIELDS = concat([
  NO_DYNAMIC_TABLE,
  Uint8Array.fromHex("d9"),
  named("sec-webtransport-http3-draft", "draft02"),
]);

function requestFields(authority: string): Uint8Array {
  return concat([
    NO_DYNAMIC_TABLE,
    METHOD_CONNECT,
    SCHEME_HTTPS,
    namedByTable(AUTHORITY, authority),
    namedByTable(PATH, WEBTRANSPORT_PATH),
    named(":protocol", "webtransport"),
    named("sec-webtransport-http3-draft02", "1"),
  ]);
}

/** Reads streams of the server until its settings came; they must say that it speaks WebTransport. */
async function readSettings(quic: Deno.QuicConn): Promise<unknown[]> {
  const streams = quic.incomingUnidirectionalStreams.getReader();
  const held: unknown[] = [streams];
  for (let skipped = 0; skipped < MAX_SKIPPED; skipped++) {
    const { value: stream } = await streams.read();
    if (stream === undefined) break;
    held.push(stream);
    const source = new ByteSource(stream);
    held.push(source);
    if (await source.takeVarint() !== CONTROL_STREAM) continue;
    if (saysSpoken(await readFrame(source, SETTINGS_FRAME))) return held;
    break;
  }
  throw new Error("the server does not speak WebTransport");
}

function saysSpoken(settings: Uint8Array): boolean {
  let rest = settings;
  const next = () => {
    const value = decodeVarint(rest);
    rest = rest.subarray(varintLength(rest[0] ?? 0));
    return value;
  };
  while (rest.length > 0) {
    const setting = next();
    if (next() > 0 && SPOKEN.includes(setting)) return true;
  }
  return false;
}

/** Content of the next frame of `type`; others before it are skipped. */
async function readFrame(source: ByteSource, type: number): Promise<Uint8Array> {
  for (let skipped = 0; skipped < MAX_SKIPPED; skipped++) {
    const found = await source.takeVarint();
    const length = await source.takeVarint();
    if (length > MAX_FRAME_BYTES) throw new Error(`a frame of HTTP/3 has ${length} bytes`);
    const content = await source.take(length);
    if (found === type) return content;
  }
  throw new Error("the peer sent no frame that was waited for");
}

function frame(type: number, content: Uint8Array): Uint8Array {
  return concat([encodeVarint(type), encodeVarint(content.length), content]);
}

function namedByTable(index: number, value: string): Uint8Array {
  return concat([Uint8Array.of(0x50 | index), text(value, 7, 0)]);
}

function named(name: string, value: string): Uint8Array {
  return concat([text(name, 3, 0x20), text(value, 7, 0)]);
}

/** A plain text behind its length, whose first byte has `prefix` bits for it beside `flags`. */
function text(value: string, prefix: number, flags: number): Uint8Array {
  const bytes = ascii(value);
  const most = (1 << prefix) - 1;
  if (bytes.length < most) return concat([Uint8Array.of(flags | bytes.length), bytes]);
  const rest = bytes.length - most;
  const length = rest < 0x80 ? [rest] : [0x80 | rest & 0x7f, rest >> 7];
  return concat([Uint8Array.of(flags | most, ...length), bytes]);
}
