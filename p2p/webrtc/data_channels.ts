import { ByteReader } from "./byte_reader.ts";
import type { SctpAssociation } from "./sctp_association.ts";
import { type Message, messageCost, RECEIVE_WINDOW_BYTES } from "./sctp_receiver.ts";

/** What SCTP carries for data channels (RFC 8831, RFC 8832). */
const PROTOCOL = { control: 50, text: 51, binary: 53 } as const;
const OPEN = 3;
const OPEN_ACK = 2;
const OPEN_HEADER_BYTES = 12;
/** An ordered, reliable channel without label and protocol. */
const PLAIN_OPEN = Uint8Array.of(OPEN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** Channels that a peer may have open towards us. */
const MAX_INBOUND = 256;
/** Channels that this side may have open. */
const MAX_OUTBOUND = 1_024;
/** Channels of the peer that may come before anybody takes them. */
const MAX_EARLY = 16;
/** A reader that leaves half of the connection's window unread for so long loses its channel, since all others wait for it. */
const MAX_UNREAD_BYTES = RECEIVE_WINDOW_BYTES / 2;
const UNREAD_TIMEOUT_MS = 10_000;

/** What the owner of a channel is told. */
export interface ChannelEvents {
  onMessage(content: Uint8Array): void;
  /** Some of what waited is on its way. */
  onProgress(): void;
  /** The peer has closed the channel, or the connection is gone. */
  onClosed(): void;
}

/** A data channel: messages in order in both directions. */
export interface DataChannel {
  readonly id: number;
  /** Bytes that are not on their way. */
  readonly unsentBytes: number;
  /** Who is told; what came before is told then. */
  attach(events: ChannelEvents): void;
  /** Sends a message, which must not change any more. */
  send(content: Uint8Array): void;
  /** Lets messages wait, which takes room from the peer. */
  pause(): void;
  resume(): void;
  /** Sends what was given and then closes; nothing is told any more. */
  close(): void;
}

/** The data channels of an association. */
export class DataChannels {
  readonly #channels = new Map<number, Channel>();
  readonly #sctp: Pick<SctpAssociation, "send" | "end" | "release" | "unsentBytes">;
  /** Channels of the client have even numbers (RFC 8832, 6). */
  readonly #parity: 0 | 1;
  #early: DataChannel[] = [];
  #onChannel: ((channel: DataChannel) => void) | undefined;

  constructor(
    sctp: Pick<SctpAssociation, "send" | "end" | "release" | "unsentBytes">,
    role: "client" | "server",
  ) {
    this.#sctp = sctp;
    this.#parity = role === "client" ? 0 : 1;
  }

  /** Hands over the channels that the peer opens. */
  accept(onChannel: (channel: DataChannel) => void): void {
    this.#onChannel = onChannel;
    for (const channel of this.#early.splice(0)) onChannel(channel);
  }

  /** The channel that both sides know without being told. */
  negotiated(id: number): DataChannel {
    return this.#create(id);
  }

  /** Opens a channel. Throws when there are too many. */
  open(): DataChannel {
    // Zero is where hands are shaken.
    let id = this.#parity === 0 ? 2 : 1;
    while (this.#channels.has(id)) id += 2;
    if (id > 2 * MAX_OUTBOUND) throw new Error(`${MAX_OUTBOUND} channels are open`);
    const channel = this.#create(id);
    this.#sctp.send(id, PROTOCOL.control, PLAIN_OPEN);
    return channel;
  }

  /** Takes a message of the association. */
  onMessage({ stream, protocol, content }: Message): void {
    const channel = this.#channels.get(stream);
    if (protocol === PROTOCOL.control) {
      this.#sctp.release(messageCost(content));
      if (content[0] === OPEN && channel === undefined) this.#onOpen(stream, content);
    } else if (channel !== undefined && (protocol === PROTOCOL.binary || protocol === PROTOCOL.text)) {
      channel.onMessage(content);
    } else this.#sctp.release(messageCost(content));
  }

  /** The peer sends nothing more on these channels. */
  onStreamsEnded(ids: readonly number[]): void {
    // None stands for all (RFC 6525, 4.1).
    for (const id of ids.length === 0 ? [...this.#channels.keys()] : ids) {
      this.#channels.get(id)?.onEnded();
      this.#forgetClosed(id);
    }
  }

  /** Nothing more goes out on these channels, and the peer knows it. */
  onStreamsReset(ids: readonly number[]): void {
    for (const id of ids) {
      const channel = this.#channels.get(id);
      if (channel !== undefined) channel.isReset = true;
      this.#forgetClosed(id);
    }
  }

  /** Some of what waited is on its way. */
  onProgress(): void {
    for (const channel of this.#channels.values()) channel.onProgress();
  }

  /** The connection is gone. */
  end(): void {
    for (const channel of this.#channels.values()) channel.onLost();
    this.#channels.clear();
    this.#early = [];
  }

  #onOpen(id: number, open: Uint8Array): void {
    const reader = new ByteReader(open);
    if (open.length < OPEN_HEADER_BYTES || id % 2 === this.#parity) {
      throw new SyntaxError("a channel is opened wrongly");
    }
    reader.take(OPEN_HEADER_BYTES);
    const inbound = [...this.#channels.keys()].filter((one) => one % 2 !== this.#parity).length;
    const isEarly = this.#onChannel === undefined;
    if (inbound >= MAX_INBOUND || (isEarly && this.#early.length >= MAX_EARLY)) return this.#sctp.end(id);
    const channel = this.#create(id);
    this.#sctp.send(id, PROTOCOL.control, Uint8Array.of(OPEN_ACK));
    if (this.#onChannel === undefined) this.#early.push(channel);
    else this.#onChannel(channel);
  }

  #create(id: number): Channel {
    const channel = new Channel(id, this.#sctp);
    this.#channels.set(id, channel);
    return channel;
  }

  /** Its number is free again when both directions have ended. */
  #forgetClosed(id: number): void {
    const channel = this.#channels.get(id);
    if (channel?.isReset && channel.isEnded) this.#channels.delete(id);
  }
}

class Channel implements DataChannel {
  /** Whether the peer knows that nothing more goes out. */
  isReset = false;
  /** Whether nothing more comes in. */
  isEnded = false;
  readonly #sctp: Pick<SctpAssociation, "send" | "end" | "release" | "unsentBytes">;
  #events: ChannelEvents | undefined;
  #isPaused = true;
  #isClosed = false;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly id: number,
    sctp: Pick<SctpAssociation, "send" | "end" | "release" | "unsentBytes">,
  ) {
    this.#sctp = sctp;
  }

  get unsentBytes(): number {
    return this.#sctp.unsentBytes(this.id);
  }

  attach(events: ChannelEvents): void {
    this.#events = events;
    this.resume();
  }

  send(content: Uint8Array): void {
    if (!this.#isClosed) this.#sctp.send(this.id, PROTOCOL.binary, content);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Who is told may pause again, or close.
    while (!this.#isPaused && this.#held.length > 0) {
      const [content] = this.#held.splice(0, 1);
      if (content === undefined) break;
      this.#heldBytes -= messageCost(content);
      this.#deliver(content);
    }
    this.#watch();
    if (!this.#isPaused && this.isEnded) this.#tellClosed();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#drop();
    this.#sctp.end(this.id);
  }

  onMessage(content: Uint8Array): void {
    if (this.#isClosed) return this.#sctp.release(messageCost(content));
    if (!this.#isPaused && this.#held.length === 0) return this.#deliver(content);
    this.#held.push(content);
    this.#heldBytes += messageCost(content);
    this.#watch();
  }

  onProgress(): void {
    if (!this.#isClosed) this.#events?.onProgress();
  }

  onEnded(): void {
    this.isEnded = true;
    if (!this.#isPaused) this.#tellClosed();
  }

  onLost(): void {
    this.isEnded = true;
    this.isReset = true;
    this.#tellClosed();
  }

  #deliver(content: Uint8Array): void {
    this.#sctp.release(messageCost(content));
    this.#events?.onMessage(content);
  }

  #tellClosed(): void {
    if (this.#isClosed) return;
    this.close();
    this.#events?.onClosed();
  }

  /** Gives the channel up when what is unread now is still so much in a while. */
  #watch(): void {
    if (this.#heldBytes <= MAX_UNREAD_BYTES) return;
    this.#timer ??= setTimeout(() => this.#tellClosed(), UNREAD_TIMEOUT_MS);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#held = [];
    this.#sctp.release(this.#heldBytes);
    this.#heldBytes = 0;
  }
}
