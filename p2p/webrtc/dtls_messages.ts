import { concat } from "../concat.ts";
import { ByteReader, u16, u24 } from "./byte_reader.ts";
import { GROUPS, SUITES } from "./dtls_keys.ts";
import { DTLS_1_2 } from "./dtls_record.ts";

/** Messages of a handshake (RFC 5246, RFC 6347). */
export const MESSAGE = {
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
} as const;

/** The one kind of signature: ECDSA on P-256 with SHA-256. */
const SIGNATURE = 0x0403;
const NAMED_CURVE = 3;
const ECDSA_SIGN = 64;
const RANDOM_BYTES = 32;
const MAX_COOKIE_BYTES = 255;

/** Extensions of hellos. */
const GROUPS_EXTENSION = 10;
const POINT_FORMATS = 11;
const SIGNATURES = 13;
const USE_SRTP = 14;
const EXTENDED_MASTER_SECRET = 23;
const RENEGOTIATION_INFO = 0xff01;
/** Among the cipher suites it says the same as an empty RENEGOTIATION_INFO (RFC 5746, 3.3): OpenSSL's way. */
const RENEGOTIATION_SUITE = 0x00ff;
/** Nothing is sent by SRTP, but there are peers that want it agreed on: with AES-128 in either mode. */
const SRTP_PROFILES = [0x0007, 0x0001];

/** What a client begins with. */
export interface ClientHello {
  random: Uint8Array;
  cookie: Uint8Array;
  /** The cipher suite that is taken of those offered. */
  suite: number;
  /** The group that is taken of those offered. */
  group: number;
  /** The extensions that are answered, as the answer has them. */
  answers: Uint8Array;
}

/** What a server says about its key for this connection. */
export interface ServerKey {
  group: number;
  publicKey: Uint8Array;
  /** What is signed, beside the randoms. */
  params: Uint8Array;
  signature: Uint8Array;
}

/** A client's hello. */
export function encodeClientHello(random: Uint8Array, cookie: Uint8Array): Uint8Array {
  return concat([
    u16(DTLS_1_2),
    random,
    vector8(new Uint8Array()),
    vector8(cookie),
    vector16(concat(Object.values(SUITES).map(u16))),
    vector8(Uint8Array.of(0)),
    vector16(concat([
      extension(GROUPS_EXTENSION, vector16(concat([u16(GROUPS.x25519), u16(GROUPS.p256)]))),
      extension(POINT_FORMATS, vector8(Uint8Array.of(0))),
      extension(SIGNATURES, vector16(u16(SIGNATURE))),
      extension(USE_SRTP, concat([vector16(concat(SRTP_PROFILES.map(u16))), vector8(new Uint8Array())])),
      extension(EXTENDED_MASTER_SECRET, new Uint8Array()),
      extension(RENEGOTIATION_INFO, vector8(new Uint8Array())),
    ])),
  ]);
}

/** Random and cookie of the hello that begins with `body`, of which the rest may be missing. Throws `SyntaxError`. */
export function readHelloStart(body: Uint8Array): Pick<ClientHello, "random" | "cookie"> {
  const reader = new ByteReader(body);
  if (reader.u16() !== DTLS_1_2) throw new SyntaxError("the client does not speak DTLS 1.2");
  const random = reader.take(RANDOM_BYTES);
  reader.take(reader.u8());
  return { random, cookie: reader.take(reader.u8()) };
}

/** Throws `SyntaxError` when it is malformed or offers nothing that we have. */
export function parseClientHello(body: Uint8Array): ClientHello {
  const { random, cookie } = readHelloStart(body);
  const reader = new ByteReader(body);
  reader.take(2 + RANDOM_BYTES);
  reader.take(reader.u8());
  reader.take(reader.u8());
  const suites = numbers(reader.take(reader.u16()));
  const suite = Object.values(SUITES).find((one) => suites.includes(one));
  if (suite === undefined) throw new SyntaxError("the client has no cipher suite of ours");
  if (!reader.take(reader.u8()).includes(0)) throw new SyntaxError("the client wants compression");
  const extensions = readExtensions(reader);
  if (!extensions.has(EXTENDED_MASTER_SECRET)) {
    throw new SyntaxError("the client has no extended master secret");
  }
  const signatures = extensions.get(SIGNATURES);
  if (signatures === undefined || !numbers(inVector16(signatures)).includes(SIGNATURE)) {
    throw new SyntaxError("the client has no ECDSA with SHA-256");
  }
  const offered = numbers(inVector16(extensions.get(GROUPS_EXTENSION) ?? u16(0)));
  const group = [GROUPS.x25519, GROUPS.p256].find((one) => offered.includes(one));
  if (group === undefined) throw new SyntaxError("the client has no group of ours");
  const srtp = extensions.get(USE_SRTP);
  const profile = srtp && numbers(inVector16(srtp)).find((one) => SRTP_PROFILES.includes(one));
  const isRenegotiationSafe = extensions.has(RENEGOTIATION_INFO) || suites.includes(RENEGOTIATION_SUITE);
  return {
    random,
    cookie,
    suite,
    group,
    answers: concat([
      ...isRenegotiationSafe ? [extension(RENEGOTIATION_INFO, vector8(new Uint8Array()))] : [],
      ...extensions.has(POINT_FORMATS) ? [extension(POINT_FORMATS, vector8(Uint8Array.of(0)))] : [],
      ...profile === undefined
        ? []
        : [extension(USE_SRTP, concat([vector16(u16(profile)), vector8(new Uint8Array())]))],
      extension(EXTENDED_MASTER_SECRET, new Uint8Array()),
    ]),
  };
}

/** Asks a client to say hello again with `cookie`, which only who receives at its address can. */
export function encodeHelloVerifyRequest(cookie: Uint8Array): Uint8Array {
  // The version says nothing here; all implementations send this one (RFC 6347, 4.2.1).
  return concat([u16(0xfeff), vector8(cookie)]);
}

/** The cookie. Throws `SyntaxError`. */
export function parseHelloVerifyRequest(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  reader.u16();
  const cookie = reader.take(reader.u8());
  if (cookie.length > MAX_COOKIE_BYTES) throw new SyntaxError("the cookie is too long");
  return cookie;
}

/** A server's hello with the answers to the client's extensions. */
export function encodeServerHello(
  random: Uint8Array,
  { suite, answers }: Pick<ClientHello, "suite" | "answers">,
): Uint8Array {
  return concat([
    u16(DTLS_1_2),
    random,
    vector8(new Uint8Array()),
    u16(suite),
    Uint8Array.of(0),
    vector16(answers),
  ]);
}

/** The server's random and the cipher suite it takes. Throws `SyntaxError` when the server does not take what we offered. */
export function parseServerHello(body: Uint8Array): { random: Uint8Array; suite: number } {
  const reader = new ByteReader(body);
  if (reader.u16() !== DTLS_1_2) throw new SyntaxError("the server does not speak DTLS 1.2");
  const random = reader.take(RANDOM_BYTES);
  reader.take(reader.u8());
  const suite = reader.u16();
  if (!Object.values(SUITES).some((one) => one === suite) || reader.u8() !== 0) {
    throw new SyntaxError("the server takes a cipher suite that was not offered");
  }
  if (!readExtensions(reader).has(EXTENDED_MASTER_SECRET)) {
    throw new SyntaxError("the server has no extended master secret");
  }
  return { random, suite };
}

/** A chain of one certificate. */
export function encodeCertificate(der: Uint8Array): Uint8Array {
  const entry = concat([u24(der.length), der]);
  return concat([u24(entry.length), entry]);
}

/** The first certificate of the chain. Throws `SyntaxError`, also when there is none. */
export function parseCertificate(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  reader.u24();
  return reader.take(reader.u24());
}

/** The part of a server's key that is signed. */
export function serverKeyParams(group: number, publicKey: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(NAMED_CURVE), u16(group), vector8(publicKey)]);
}

/** A server's key with its signature. */
export function encodeServerKey(params: Uint8Array, signature: Uint8Array): Uint8Array {
  return concat([params, encodeSignature(signature)]);
}

/** Throws `SyntaxError`. */
export function parseServerKey(body: Uint8Array): ServerKey {
  const reader = new ByteReader(body);
  if (reader.u8() !== NAMED_CURVE) throw new SyntaxError("the server's key is of no named curve");
  const group = reader.u16();
  const publicKey = reader.take(reader.u8());
  const params = body.subarray(0, body.length - reader.left);
  return { group, publicKey, params, signature: parseSignature(reader.rest()) };
}

/** Asks for a certificate of ECDSA. */
export function encodeCertificateRequest(): Uint8Array {
  return concat([vector8(Uint8Array.of(ECDSA_SIGN)), vector16(u16(SIGNATURE)), vector16(new Uint8Array())]);
}

/** A client's key. */
export function encodeClientKey(publicKey: Uint8Array): Uint8Array {
  return vector8(publicKey);
}

/** Throws `SyntaxError`. */
export function parseClientKey(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  return reader.take(reader.u8());
}

/** A signature with what it is made with. */
export function encodeSignature(signature: Uint8Array): Uint8Array {
  return concat([u16(SIGNATURE), vector16(signature)]);
}

/** Throws `SyntaxError` when it is of another kind than ours. */
export function parseSignature(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  if (reader.u16() !== SIGNATURE) throw new SyntaxError("the signature is of a kind that was not offered");
  return reader.take(reader.u16());
}

function readExtensions(reader: ByteReader): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  if (reader.left === 0) return found;
  const list = new ByteReader(reader.take(reader.u16()));
  while (list.left > 0) {
    const type = list.u16();
    found.set(type, list.take(list.u16()));
  }
  return found;
}

function inVector16(bytes: Uint8Array): Uint8Array {
  const reader = new ByteReader(bytes);
  return reader.take(reader.u16());
}

function numbers(bytes: Uint8Array): number[] {
  const reader = new ByteReader(bytes);
  return Array.from({ length: bytes.length >> 1 }, () => reader.u16());
}

function extension(type: number, content: Uint8Array): Uint8Array {
  return concat([u16(type), vector16(content)]);
}

function vector8(content: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(content.length), content]);
}

function vector16(content: Uint8Array): Uint8Array {
  return concat([u16(content.length), content]);
}
