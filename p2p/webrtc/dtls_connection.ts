import { concat } from "../concat.ts";
import { u16 } from "./byte_reader.ts";
import {
  handshakeAsClient,
  handshakeAsServer,
  type HandshakeOptions,
  type HandshakeWire,
} from "./dtls_handshake.ts";
import type { Secrets } from "./dtls_keys.ts";
import {
  CONTENT,
  type DtlsRecord,
  plainRecord,
  readRecords,
  type RecordKey,
  ReplayWindow,
} from "./dtls_record.ts";
import { encodeMessage, type HandshakeMessage, HandshakeReader } from "./handshake_reader.ts";

/** Pause before a flight is sent again, which doubles each time; and how often that is done for the peer's repetitions. */
const RESEND_MS = 400;
const MAX_RESEND_MS = 3_200;
const MAX_RESENT = 16;
/** Sealed records that may come before the keys are known. */
const MAX_EARLY = 8;
/** Datagrams of a handshake are no longer, so that they get through everywhere. */
const MAX_DATAGRAM_BYTES = 1_200;

const WARNING = 1;
const FATAL = 2;
const CLOSE_NOTIFY = 0;
const HANDSHAKE_FAILURE = 40;

/** What a connection works with. */
export interface DtlsInit extends HandshakeOptions {
  role: "client" | "server";
  /** Numbers of the message and the record that bring the hello with its cookie; for a server. */
  start?: { message: number; record: number };
  /** Sends a datagram, which may be lost. */
  send(datagram: Uint8Array): void;
  /** Takes what the peer has sealed. */
  onData(plain: Uint8Array): void;
  /** Called once, when the peer has ended the connection. */
  onClosed(): void;
}

interface FlightItem {
  type: number;
  body: Uint8Array;
  sealed: boolean;
}

interface Waiting {
  types: readonly number[];
  resolve(message: HandshakeMessage): void;
  reject(error: Error): void;
}

/** DTLS 1.2 with a peer that is known by its certificate: no resumption, no renegotiation, one cipher suite. */
export class DtlsConnection implements HandshakeWire {
  readonly #init: DtlsInit;
  readonly #reader: HandshakeReader;
  readonly #replay = new ReplayWindow();
  #state: "handshaking" | "open" | "closed" = "handshaking";
  #keys: { read: RecordKey; write: RecordKey } | undefined;
  #plainSequence: number;
  #sealedSequence = 0;
  #messageNumber: number;
  #transcript: Uint8Array[] = [];
  #early: DtlsRecord[] = [];
  #added: FlightItem[] = [];
  #flight: readonly FlightItem[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #resent = 0;
  #waiting: Waiting | undefined;
  /** Why there will be no next message. */
  #failure: Error | undefined;

  constructor(init: DtlsInit) {
    const { message = 0, record = 0 } = init.start ?? {};
    this.#init = init;
    this.#reader = new HandshakeReader(message);
    this.#messageNumber = message;
    this.#plainSequence = record;
  }

  /** Shakes hands; resolves with the peer's certificate in DER. Rejects when `signal` fires, or with what is wrong. */
  async handshake(signal: AbortSignal): Promise<Uint8Array> {
    const onAbort = () => this.#stopWaiting(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      const shake = this.#init.role === "client" ? handshakeAsClient : handshakeAsServer;
      const peer = await shake(this, this.#init);
      if (this.#state === "closed") throw new Error("the peer closed the connection");
      this.#state = "open";
      return peer;
    } catch (error) {
      this.#sendAlert(FATAL, HANDSHAKE_FAILURE);
      this.#end();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Takes a datagram of the peer; whatever is wrong with it never throws. */
  receive(datagram: Uint8Array): void {
    for (const record of readRecords(datagram)) {
      if (this.#state === "closed") return;
      try {
        if (record.epoch === 0) this.#takePlain(record);
        else if (record.epoch === 1) this.#takeSealed(record);
      } catch (error) {
        // Anybody can send it in the peer's name, so it is as if it had been lost.
        if (!(error instanceof SyntaxError)) throw error;
      }
    }
  }

  /** Seals and sends `plain`. */
  send(plain: Uint8Array): void {
    if (this.#state === "open") this.#sendSealed(CONTENT.data, plain);
  }

  /** Tells the peer that this is the end. */
  close(): void {
    if (this.#state === "closed") return;
    this.#sendAlert(WARNING, CLOSE_NOTIFY);
    this.#stopWaiting(new Error("the connection was closed"));
    this.#end();
  }

  add(type: number, body: Uint8Array, sealed = false): void {
    const message = encodeMessage(type, this.#messageNumber++, body);
    this.#transcript.push(message);
    this.#added.push({ type: CONTENT.handshake, body: message, sealed });
  }

  sendFlight(): void {
    this.#flight = this.#added;
    this.#added = [];
    this.#resent = 0;
    this.#transmit();
    this.#resendLater(RESEND_MS);
  }

  next(...types: readonly number[]): Promise<HandshakeMessage> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting = { types, resolve, reject };
      this.#handOver();
    });
  }

  transcript(): Uint8Array {
    return concat(this.#transcript);
  }

  restart(): void {
    this.#transcript = [];
  }

  protect({ client, server }: Secrets): void {
    this.#keys = this.#init.role === "client"
      ? { read: server, write: client }
      : { read: client, write: server };
    const early = this.#early;
    this.#early = [];
    for (const record of early) this.#takeSealed(record);
  }

  settle(): void {
    clearTimeout(this.#timer);
    this.#transcript = [];
    // The server's last flight may be asked for again; were the client's as well, both would go on for ever.
    if (this.#init.role === "client") this.#flight = [];
  }

  #takePlain({ type, body }: DtlsRecord): void {
    if (type === CONTENT.handshake) this.#takeHandshake(body, 0);
    else if (type === CONTENT.alert && this.#state === "handshaking" && body[0] === FATAL) {
      this.#stopWaiting(new Error(`the peer refused the handshake (alert ${body[1]} of DTLS)`));
    }
  }

  #takeSealed(record: DtlsRecord): void {
    if (this.#keys === undefined) {
      if (this.#early.length < MAX_EARLY) this.#early.push({ ...record, body: record.body.slice() });
      return;
    }
    if (!this.#replay.allows(record.sequence)) return;
    const plain = this.#keys.read.open(record);
    if (plain === undefined) return;
    this.#replay.note(record.sequence);
    if (record.type === CONTENT.handshake) this.#takeHandshake(plain, 1);
    else if (record.type === CONTENT.data && this.#state === "open") this.#init.onData(plain);
    else if (record.type === CONTENT.alert && (plain[0] === FATAL || plain[1] === CLOSE_NOTIFY)) {
      this.#stopWaiting(new Error("the peer closed the connection"));
      this.#end();
      this.#init.onClosed();
    }
  }

  #takeHandshake(content: Uint8Array, epoch: number): void {
    // The peer has not got our last flight.
    if (this.#reader.take(content, epoch) && this.#resent++ < MAX_RESENT) this.#transmit();
    this.#handOver();
  }

  #handOver(): void {
    const waiting = this.#waiting;
    const message = waiting && this.#reader.shift();
    if (waiting === undefined || message === undefined) return;
    this.#waiting = undefined;
    if (waiting.types.includes(message.type)) {
      this.#transcript.push(message.whole);
      waiting.resolve(message);
    } else waiting.reject(new SyntaxError(`message ${message.type} of the handshake was not expected`));
  }

  #stopWaiting(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  #transmit(): void {
    let datagram: Uint8Array[] = [];
    let length = 0;
    for (const record of this.#records()) {
      if (length > 0 && length + record.length > MAX_DATAGRAM_BYTES) {
        this.#init.send(concat(datagram));
        [datagram, length] = [[], 0];
      }
      datagram.push(record);
      length += record.length;
    }
    if (length > 0) this.#init.send(concat(datagram));
  }

  *#records(): Generator<Uint8Array> {
    for (const { type, body, sealed } of this.#flight) {
      if (!sealed) yield plainRecord(type, this.#plainSequence++, body);
      else if (this.#keys !== undefined) {
        yield plainRecord(CONTENT.changeCipherSpec, this.#plainSequence++, Uint8Array.of(1));
        yield this.#keys.write.seal(type, this.#sealedSequence++, body);
      }
    }
  }

  #resendLater(pauseMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#transmit();
      this.#resendLater(Math.min(2 * pauseMs, MAX_RESEND_MS));
    }, pauseMs);
  }

  #sendAlert(level: number, what: number): void {
    const alert = u16(level << 8 | what);
    if (this.#keys !== undefined) this.#sendSealed(CONTENT.alert, alert);
    else this.#init.send(plainRecord(CONTENT.alert, this.#plainSequence++, alert));
  }

  #sendSealed(type: number, plain: Uint8Array): void {
    if (this.#keys !== undefined) this.#init.send(this.#keys.write.seal(type, this.#sealedSequence++, plain));
  }

  #end(): void {
    this.#state = "closed";
    clearTimeout(this.#timer);
  }
}
