import { createHmac, timingSafeEqual } from "node:crypto";
import { ascii } from "../der.ts";
import { ByteReader } from "./byte_reader.ts";
import { encodeHelloVerifyRequest, MESSAGE, readHelloStart } from "./dtls_messages.ts";
import { CONTENT, plainRecord, readRecords } from "./dtls_record.ts";
import { encodeMessage } from "./handshake_reader.ts";
import type { UdpAddress } from "./stun.ts";

/** A cookie is good for one to two of these: who was at an address long ago must not have us send there. */
const COOKIE_MS = 60_000;

/** What a datagram of somebody unknown is: a hello with our cookie, or something to answer. */
export type Greeting = { start: { message: number; record: number } } | { answer: Uint8Array };

/**
 * Has clients prove that they receive at their address before anything is kept about them (RFC 6347, 4.2.1): a hello without
 * the cookie of its address is answered with it and forgotten.
 */
export class CookieGate {
  readonly #secret = crypto.getRandomValues(new Uint8Array(32));
  readonly #now: () => number;

  /** `now` tells milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What is to be done with `datagram`; undefined when it is no hello. */
  greet(datagram: Uint8Array, from: UdpAddress): Greeting | undefined {
    try {
      return this.#greet(datagram, from);
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  #greet(datagram: Uint8Array, from: UdpAddress): Greeting | undefined {
    const [record] = readRecords(datagram);
    if (record === undefined || record.type !== CONTENT.handshake || record.epoch !== 0) return undefined;
    const reader = new ByteReader(record.body);
    const type = reader.u8();
    reader.u24();
    const message = reader.u16();
    const offset = reader.u24();
    if (type !== MESSAGE.clientHello || offset !== 0) return undefined;
    const { random, cookie } = readHelloStart(reader.take(reader.u24()));
    const period = Math.floor(this.#now() / COOKIE_MS);
    const [current, last] = [
      this.#cookieFor(random, from, period),
      this.#cookieFor(random, from, period - 1),
    ];
    if ([current, last].some((one) => cookie.length === one.length && timingSafeEqual(cookie, one))) {
      return { start: { message, record: record.sequence } };
    }
    const request = encodeMessage(MESSAGE.helloVerifyRequest, 0, encodeHelloVerifyRequest(current));
    return { answer: plainRecord(CONTENT.handshake, record.sequence, request) };
  }

  #cookieFor(random: Uint8Array, { hostname, port }: UdpAddress, period: number): Uint8Array {
    const mac = createHmac("sha256", this.#secret).update(ascii(`${period} ${hostname} ${port} `));
    return new Uint8Array(mac.update(random).digest());
  }
}
