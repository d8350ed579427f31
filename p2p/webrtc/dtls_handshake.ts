import {
  createPrivateKey,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
  X509Certificate,
} from "node:crypto";
import { concat } from "../concat.ts";
import type { P256Certificate } from "../p256_certificate.ts";
import { createKeyExchange, deriveSecrets, type Secrets } from "./dtls_keys.ts";
import {
  encodeCertificate,
  encodeCertificateRequest,
  encodeClientHello,
  encodeClientKey,
  encodeServerHello,
  encodeServerKey,
  encodeSignature,
  MESSAGE,
  parseCertificate,
  parseClientHello,
  parseClientKey,
  parseHelloVerifyRequest,
  parseServerHello,
  parseServerKey,
  parseSignature,
  serverKeyParams,
} from "./dtls_messages.ts";
import type { HandshakeMessage } from "./handshake_reader.ts";

const RANDOM_BYTES = 32;
const EMPTY = new Uint8Array();

/** What a handshake is made over. */
export interface HandshakeWire {
  /** Puts a message into the next flight; a sealed one comes behind the change to what was agreed on. */
  add(type: number, body: Uint8Array, sealed?: boolean): void;
  /** Sends what was added, and again until there is another flight, or {@link settle} is called. */
  sendFlight(): void;
  /** The next message of the peer. Rejects when it is none of `types`, or when there will be none. */
  next(...types: readonly number[]): Promise<HandshakeMessage>;
  /** All messages so far, in both directions, with those that were added. */
  transcript(): Uint8Array;
  /** Forgets the messages so far. */
  restart(): void;
  /** From now on sealed messages can be sent and are read. */
  protect(secrets: Secrets): void;
  /** The peer has all that was sent. */
  settle(): void;
}

/** Who handshakes, and with whom. */
export interface HandshakeOptions {
  certificate: P256Certificate;
  /** Throws when the peer's certificate, in DER, is not the one that is wanted. */
  checkCertificate(der: Uint8Array): void;
}

/** DTLS 1.2 as the one who begins; resolves with the peer's certificate, whose key the peer has proven to hold. */
export async function handshakeAsClient(wire: HandshakeWire, options: HandshakeOptions): Promise<Uint8Array> {
  const { certificate, checkCertificate } = options;
  const random = randomBytes();
  wire.add(MESSAGE.clientHello, encodeClientHello(random, EMPTY));
  wire.sendFlight();
  let hello = await wire.next(MESSAGE.helloVerifyRequest, MESSAGE.serverHello);
  if (hello.type === MESSAGE.helloVerifyRequest) {
    wire.restart();
    wire.add(MESSAGE.clientHello, encodeClientHello(random, parseHelloVerifyRequest(hello.body)));
    wire.sendFlight();
    hello = await wire.next(MESSAGE.serverHello);
  }
  const { random: serverRandom, suite } = parseServerHello(hello.body);
  const peer = parseCertificate((await wire.next(MESSAGE.certificate)).body);
  checkCertificate(peer);
  const serverKey = parseServerKey((await wire.next(MESSAGE.serverKeyExchange)).body);
  assertSigned(peer, concat([random, serverRandom, serverKey.params]), serverKey.signature);
  // Without a certificate of ours there would be nothing for Noise to bind.
  await wire.next(MESSAGE.certificateRequest);
  await wire.next(MESSAGE.serverHelloDone);

  const exchange = createKeyExchange(serverKey.group);
  const shared = exchange.agree(serverKey.publicKey);
  wire.add(MESSAGE.certificate, encodeCertificate(certificate.der));
  wire.add(MESSAGE.clientKeyExchange, encodeClientKey(exchange.publicKey));
  const transcript = wire.transcript();
  const secrets = deriveSecrets({ suite, shared, transcript, clientRandom: random, serverRandom });
  const signature = sign("sha256", transcript, privateKeyOf(certificate));
  wire.add(MESSAGE.certificateVerify, encodeSignature(new Uint8Array(signature)));
  wire.protect(secrets);
  wire.add(MESSAGE.finished, secrets.finished("client finished", wire.transcript()), true);
  wire.sendFlight();
  await assertFinished(wire, (messages) => secrets.finished("server finished", messages));
  wire.settle();
  return peer;
}

/** DTLS 1.2 as the one who is called, from the hello on that brought its cookie. Otherwise as {@link handshakeAsClient}. */
export async function handshakeAsServer(wire: HandshakeWire, options: HandshakeOptions): Promise<Uint8Array> {
  const { certificate, checkCertificate } = options;
  const hello = parseClientHello((await wire.next(MESSAGE.clientHello)).body);
  const random = randomBytes();
  const exchange = createKeyExchange(hello.group);
  const params = serverKeyParams(hello.group, exchange.publicKey);
  const signature = sign("sha256", concat([hello.random, random, params]), privateKeyOf(certificate));
  wire.add(MESSAGE.serverHello, encodeServerHello(random, hello));
  wire.add(MESSAGE.certificate, encodeCertificate(certificate.der));
  wire.add(MESSAGE.serverKeyExchange, encodeServerKey(params, new Uint8Array(signature)));
  wire.add(MESSAGE.certificateRequest, encodeCertificateRequest());
  wire.add(MESSAGE.serverHelloDone, EMPTY);
  wire.sendFlight();
  const peer = parseCertificate((await wire.next(MESSAGE.certificate)).body);
  checkCertificate(peer);
  const clientKey = parseClientKey((await wire.next(MESSAGE.clientKeyExchange)).body);
  const transcript = wire.transcript();
  const secrets = deriveSecrets({
    suite: hello.suite,
    shared: exchange.agree(clientKey),
    transcript,
    clientRandom: hello.random,
    serverRandom: random,
  });
  assertSigned(peer, transcript, parseSignature((await wire.next(MESSAGE.certificateVerify)).body));
  wire.protect(secrets);
  await assertFinished(wire, (messages) => secrets.finished("client finished", messages));
  wire.add(MESSAGE.finished, secrets.finished("server finished", wire.transcript()), true);
  wire.sendFlight();
  wire.settle();
  return peer;
}

/** Waits for the peer's last message, which proves that nobody changed one of the others. */
async function assertFinished(
  wire: HandshakeWire,
  expected: (transcript: Uint8Array) => Uint8Array,
): Promise<void> {
  const transcript = wire.transcript();
  const { body, epoch } = await wire.next(MESSAGE.finished);
  const wanted = expected(transcript);
  if (epoch === 1 && body.length === wanted.length && timingSafeEqual(body, wanted)) return;
  throw new Error("the handshake was changed on its way");
}

function assertSigned(certificate: Uint8Array, content: Uint8Array, signature: Uint8Array): void {
  if (verify("sha256", content, publicKeyOf(certificate), signature)) return;
  throw new Error("the peer does not hold the key of its certificate");
}

function publicKeyOf(certificate: Uint8Array): KeyObject {
  const { publicKey } = new X509Certificate(certificate);
  if (publicKey.asymmetricKeyDetails?.namedCurve === "prime256v1") return publicKey;
  throw new Error("the peer's certificate is not of ECDSA P-256");
}

function privateKeyOf({ key }: P256Certificate): KeyObject {
  return createPrivateKey(key);
}

function randomBytes(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(RANDOM_BYTES));
}
