import {
  type DataChunk,
  dataChunkBytes,
  distance,
  encodeData,
  MAX_FRAGMENT_BYTES,
  MAX_PACKET_BYTES,
  type Sack,
  tsnAfter,
} from "./sctp_packet.ts";

/** Bytes that may be under way at first (RFC 9260, 7.2.1), and at most: what the sockets of this system hold for a moment. */
const FIRST_WINDOW_BYTES = 4 * MAX_PACKET_BYTES;
const MAX_WINDOW_BYTES = 1024 * 1024;
/** Reports of later fragments after which one counts as lost. */
const LOST_AFTER = 3;
/** Times after which what was not acknowledged is sent again (RFC 9260, 6.3.1; the least is that of other WebRTC peers). */
const FIRST_RTO_MS = 1_000;
const MIN_RTO_MS = 400;
const MAX_RTO_MS = 10_000;

interface Sent {
  chunk: Uint8Array;
  size: number;
  sentAt: number;
  times: number;
  reported: number;
  state: "under way" | "lost" | "acknowledged";
}

interface Message {
  protocol: number;
  content: Uint8Array;
  offset: number;
}

/** Fragments messages and sends them again until they are acknowledged, no faster than the way and the peer can take. */
export class SctpSender {
  readonly #now: () => number;
  readonly #queues = new Map<number, Message[]>();
  readonly #sequences = new Map<number, number>();
  readonly #unsent = new Map<number, number>();
  /** From the first that is not acknowledged on. */
  #sent: Sent[] = [];
  #firstSent: number;
  #nextTsn: number;
  #underWay = 0;
  #lost = 0;
  #peerWindow = 0;
  #window = FIRST_WINDOW_BYTES;
  #threshold = MAX_WINDOW_BYTES;
  #grown = 0;
  /** Until this one is acknowledged the window is not cut again. */
  #recoveryEnd: number | undefined;
  #smoothedMs: number | undefined;
  #variationMs = 0;
  #rtoMs = FIRST_RTO_MS;

  /** `firstTsn` is the number of the first fragment; `now` tells milliseconds. */
  constructor(firstTsn: number, now: () => number = () => performance.now()) {
    this.#firstSent = firstTsn;
    this.#nextTsn = firstTsn;
    this.#now = now;
  }

  /** How long to wait for an acknowledgement. */
  get rtoMs(): number {
    return this.#rtoMs;
  }

  /** Whether anything waits for its acknowledgement. */
  get isWaiting(): boolean {
    return this.#sent.length > 0;
  }

  /** Whether all of all messages is acknowledged. */
  get isIdle(): boolean {
    return this.#sent.length === 0 && this.#queues.size === 0;
  }

  /** The number of the last fragment that got one. */
  get lastTsn(): number {
    return tsnAfter(this.#nextTsn, -1);
  }

  /** Bytes of the messages of `stream` that are not on their way yet. */
  unsentBytes(stream: number): number {
    return this.#unsent.get(stream) ?? 0;
  }

  /** What the peer says it has room for, before anything is sent. */
  open(peerWindow: number): void {
    this.#peerWindow = peerWindow;
  }

  /** Takes a message for `stream`; it must not change any more. */
  queue(stream: number, protocol: number, content: Uint8Array): void {
    const queue = this.#queues.get(stream) ?? [];
    queue.push({ protocol, content, offset: 0 });
    this.#queues.set(stream, queue);
    this.#unsent.set(stream, this.unsentBytes(stream) + content.length);
  }

  /** Messages of `stream` will be numbered anew; what of it is not on its way is forgotten. */
  resetStream(stream: number): void {
    this.#sequences.delete(stream);
    this.#queues.delete(stream);
    this.#unsent.delete(stream);
  }

  /** Chunks that may leave now and have `room` bytes together. Lost ones come first, then each stream in its turn. */
  take(room: number): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    let left = room;
    for (const chunk of this.#takeLost(left)) {
      chunks.push(chunk);
      left -= chunk.length;
    }
    while (this.#lost === 0) {
      const chunk = this.#takeNew(left);
      if (chunk === undefined) break;
      chunks.push(chunk);
      left -= chunk.length;
    }
    return chunks;
  }

  /** Takes an acknowledgement; false when it says nothing new. */
  acknowledge({ cumulative, window, gaps }: Sack): boolean {
    const count = distance(cumulative, this.#firstSent) + 1;
    // Older than the last one, or about what was never sent.
    if (count < 0 || count > this.#sent.length) return false;
    const wasFull = this.#underWay + MAX_PACKET_BYTES > this.#window;
    let bytes = 0;
    for (const sent of this.#sent.slice(0, count)) bytes += this.#settle(sent);
    this.#sent.splice(0, count);
    this.#firstSent = tsnAfter(this.#firstSent, count);
    if (this.#recoveryEnd !== undefined && distance(this.#firstSent, this.#recoveryEnd) > 0) {
      this.#recoveryEnd = undefined;
    }
    const highest = this.#settleGaps(cumulative, gaps);
    this.#peerWindow = window;
    if (count > 0 && wasFull && this.#recoveryEnd === undefined) this.#grow(bytes);
    this.#report(highest);
    return count > 0 || highest > 0;
  }

  /** Nothing was acknowledged for {@link rtoMs}: all that is under way counts as lost. */
  onTimeout(): void {
    this.#rtoMs = Math.min(2 * this.#rtoMs, MAX_RTO_MS);
    this.#threshold = Math.max(this.#window / 2, FIRST_WINDOW_BYTES);
    this.#window = MAX_PACKET_BYTES;
    this.#grown = 0;
    this.#recoveryEnd = undefined;
    for (const sent of this.#sent) this.#lose(sent);
  }

  *#takeLost(room: number): Generator<Uint8Array> {
    let left = room;
    for (const sent of this.#sent) {
      if (this.#lost === 0 || left < sent.chunk.length) return;
      if (sent.state !== "lost") continue;
      if (this.#underWay > 0 && this.#underWay + sent.size > this.#window) return;
      this.#lost--;
      left -= sent.chunk.length;
      this.#underWay += sent.size;
      Object.assign(sent, { state: "under way", sentAt: this.#now(), times: sent.times + 1, reported: 0 });
      yield sent.chunk;
    }
  }

  #takeNew(room: number): Uint8Array | undefined {
    const [entry] = this.#queues;
    if (entry === undefined) return undefined;
    const [stream, queue] = entry;
    const [message] = queue;
    if (message === undefined) return undefined;
    const size = Math.min(MAX_FRAGMENT_BYTES, message.content.length - message.offset);
    if (room < dataChunkBytes(size) || !this.#mayLeave(size)) return undefined;
    const chunk = this.#nextChunk(stream, message, size);
    const unsent = this.unsentBytes(stream) - size;
    if (unsent > 0) this.#unsent.set(stream, unsent);
    else this.#unsent.delete(stream);
    if (message.offset === message.content.length) {
      // Its turn is over: the next message is another stream's.
      this.#queues.delete(stream);
      queue.shift();
      if (queue.length > 0) this.#queues.set(stream, queue);
    }
    this.#sent.push({ chunk, size, sentAt: this.#now(), times: 1, reported: 0, state: "under way" });
    this.#underWay += size;
    return chunk;
  }

  #mayLeave(size: number): boolean {
    // One that the peer has no room for asks whether it has now.
    if (this.#sent.length === 0) return true;
    return this.#underWay + size <= Math.min(this.#window, this.#peerWindow);
  }

  #nextChunk(stream: number, message: Message, size: number): Uint8Array {
    const { protocol, content, offset } = message;
    message.offset += size;
    const sequence = this.#sequences.get(stream) ?? 0;
    const last = message.offset === content.length;
    if (last) this.#sequences.set(stream, sequence + 1 & 0xffff);
    const tsn = this.#nextTsn;
    this.#nextTsn = tsnAfter(tsn);
    const data: DataChunk = {
      ...{ tsn, stream, protocol, last },
      first: offset === 0,
      content: content.subarray(offset, offset + size),
    };
    return encodeData(data, sequence);
  }

  /** Marks `sent` as there; answers how many bytes are there that were not known to be. */
  #settle(sent: Sent): number {
    if (sent.state === "acknowledged") return 0;
    if (sent.state === "under way") this.#underWay -= sent.size;
    else this.#lost--;
    sent.state = "acknowledged";
    // One that was sent twice does not tell which of the two was answered.
    if (sent.times === 1) this.#measure(this.#now() - sent.sentAt);
    return sent.size;
  }

  /** Marks what came beyond the first gap; answers how far that reaches, counted from the first not acknowledged. */
  #settleGaps(cumulative: number, gaps: Sack["gaps"]): number {
    const base = distance(cumulative, this.#firstSent);
    let highest = 0;
    let next = 0;
    for (const [from, to] of gaps) {
      // They stand in order: each fragment is looked at once, however many gaps a peer makes up.
      for (next = Math.max(next, base + from); next <= Math.min(base + to, this.#sent.length - 1); next++) {
        const sent = this.#sent[next];
        if (sent === undefined || this.#settle(sent) === 0) continue;
        highest = next;
      }
    }
    return highest;
  }

  /** Whatever is before something that came later is a little more likely to be lost. */
  #report(highest: number): void {
    for (let i = 0; i < highest; i++) {
      const sent = this.#sent[i];
      if (sent?.state !== "under way" || ++sent.reported < LOST_AFTER) continue;
      this.#lose(sent);
      if (this.#recoveryEnd !== undefined) continue;
      this.#recoveryEnd = this.lastTsn;
      this.#threshold = Math.max(this.#window / 2, FIRST_WINDOW_BYTES);
      this.#window = this.#threshold;
      this.#grown = 0;
    }
  }

  #lose(sent: Sent): void {
    if (sent.state !== "under way") return;
    sent.state = "lost";
    this.#underWay -= sent.size;
    this.#lost++;
  }

  #grow(bytes: number): void {
    if (this.#window < this.#threshold) this.#window += Math.min(bytes, 2 * MAX_PACKET_BYTES);
    else if ((this.#grown += bytes) >= this.#window) {
      this.#grown -= this.#window;
      this.#window += MAX_PACKET_BYTES;
    }
    this.#window = Math.min(this.#window, MAX_WINDOW_BYTES);
  }

  #measure(tookMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = tookMs;
      this.#variationMs = tookMs / 2;
    } else {
      this.#variationMs = 0.75 * this.#variationMs + 0.25 * Math.abs(this.#smoothedMs - tookMs);
      this.#smoothedMs = 0.875 * this.#smoothedMs + 0.125 * tookMs;
    }
    const rtoMs = this.#smoothedMs + 4 * this.#variationMs;
    this.#rtoMs = Math.min(Math.max(rtoMs, MIN_RTO_MS), MAX_RTO_MS);
  }
}
