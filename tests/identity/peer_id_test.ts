import assert from "node:assert/strict";
import { base58btc } from "multiformats/bases/base58";
import { CodedError } from "../../core/errors.ts";
import {
  fromDidKey,
  isPeerId,
  peerIdFromPublicKey,
  publicKeyFromPeerId,
  toDidKey,
} from "../../identity/mod.ts";

const invalid = (error: unknown) => error instanceof CodedError && error.code === "invalid_argument";
const randomKey = () => crypto.getRandomValues(new Uint8Array(32));

/** Public keys with their names. */
const VECTORS = [
  {
    publicKey: Uint8Array.from({ length: 32 }, (_, i) => i),
    peerId: "12D3KooW9pP4Seg3kZYhySpuVjn1RPdQBsUFZKiFxGMGQN5MeL6A",
    didKey: "did:key:z6MkeTGwHmLmuCmgg4ABYhzWVh6ZX7hTwWt8gguAretUfc9c",
  },
  {
    publicKey: new Uint8Array(32),
    peerId: "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw",
    didKey: "did:key:z6MkeTG3bFFSLYVU7VqhgZxqr6YzpaGrQtFMh1uvqGy1vDnP",
  },
  {
    publicKey: Uint8Array.fromHex("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"),
    peerId: "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
    didKey: "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
  },
];

/** Texts that come close to the encoding of a key of `header`. */
function spoiled(header: readonly number[], text: string): string[] {
  const encode = (...bytes: number[]) => base58btc.baseEncode(Uint8Array.from(bytes));
  const key = Array.from(randomKey());
  return [
    "",
    " ",
    text.slice(0, -1),
    `${text}1`,
    `1${text}`,
    `${text} `,
    ` ${text}`,
    `${text}\n`,
    `z${text}`,
    text.replace(/.$/, "0"),
    text.replace(/.$/, "é"),
    text.toLowerCase(),
    encode(...header, ...key.slice(1)),
    encode(...header, ...key, 0),
    encode(...header),
    encode(...key),
    encode(...header.map((byte, i) => i === header.length - 1 ? byte ^ 1 : byte), ...key),
    encode(...header.map((byte, i) => i === 0 ? byte ^ 1 : byte), ...key),
    "1".repeat(1_000_000),
    text.repeat(10_000),
  ];
}

Deno.test("peer ids and DIDs match the vectors in all directions", () => {
  for (const { publicKey, peerId, didKey } of VECTORS) {
    assert.equal(peerIdFromPublicKey(publicKey), peerId);
    assert.deepEqual(publicKeyFromPeerId(peerId), publicKey);
    assert.equal(toDidKey(peerId), didKey);
    assert.equal(fromDidKey(didKey), peerId);
    assert.ok(isPeerId(peerId));
  }
});

Deno.test("peer ids and DIDs come back when keys are random", () => {
  const extremes = [
    new Uint8Array(32).fill(255),
    new Uint8Array(32).fill(1, 31),
    new Uint8Array(32).fill(1, 0, 1),
  ];
  for (const publicKey of [...extremes, ...Array.from({ length: 500 }, randomKey)]) {
    const peerId = peerIdFromPublicKey(publicKey);
    assert.match(peerId, /^12D3KooW\w{44}$/);
    assert.deepEqual(publicKeyFromPeerId(peerId), publicKey);
    assert.match(toDidKey(peerId), /^did:key:z6Mk\w{44}$/);
    assert.equal(fromDidKey(toDidKey(peerId)), peerId);
  }
});

Deno.test("peerIdFromPublicKey() gives the same id when the key is a view", () => {
  const buffer = randomKey();
  const large = new Uint8Array(100);
  large.set(buffer, 7);
  assert.equal(peerIdFromPublicKey(large.subarray(7, 39)), peerIdFromPublicKey(buffer));
});

Deno.test("peerIdFromPublicKey() throws RangeError when the key has another length", () => {
  for (const length of [0, 31, 33, 64]) {
    assert.throws(() => peerIdFromPublicKey(new Uint8Array(length)), RangeError);
  }
});

Deno.test("publicKeyFromPeerId(), toDidKey() and isPeerId() refuse what is no Ed25519 peer id", () => {
  const peerId = peerIdFromPublicKey(randomKey());
  const foreign = [
    "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    "16Uiu2HAmDGSsWnWePcHZtsPxwBcAVhBVTtTwDDwsTbSb4Wk8Tu6Z",
    "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
    "k51qzi5uqu5dkkciu33khkzbcmxtyhn376i1e83tya8kuy7z9euedzyr5nhoew",
    toDidKey(peerId),
  ];
  for (const text of [...foreign, ...spoiled([0x00, 0x24, 0x08, 0x01, 0x12, 0x20], peerId)]) {
    assert.equal(isPeerId(text), false, text.slice(0, 100));
    assert.throws(() => publicKeyFromPeerId(text), invalid);
    assert.throws(() => toDidKey(text), invalid);
  }
  for (const value of [undefined, null, 1, {}, [peerId]]) assert.equal(isPeerId(value), false);
});

Deno.test("fromDidKey() refuses what is no did:key of an Ed25519 key", () => {
  const peerId = peerIdFromPublicKey(randomKey());
  const didKey = toDidKey(peerId);
  const body = didKey.slice("did:key:z".length);
  const foreign = [
    "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
    "did:web:example.com",
    `DID:KEY:z${body}`,
    `did:key:${body}`,
    `did:key:f${Buffer.from(base58btc.baseDecode(body)).toString("hex")}`,
    `${didKey}#z${body}`,
    `${didKey}?service=a`,
    ` ${didKey}`,
    peerId,
  ];
  for (const text of [...foreign, ...spoiled([0xed, 0x01], body).map((text) => `did:key:z${text}`)]) {
    assert.throws(() => fromDidKey(text), invalid, text.slice(0, 100));
  }
});

Deno.test("publicKeyFromPeerId() cuts what it shows of a long text", () => {
  assert.throws(() => publicKeyFromPeerId("x".repeat(100_000)), (error: Error) => error.message.length < 250);
});

Deno.test("peer_id.ts and did_key.ts load nothing that only a server has", async () => {
  const root = new URL("../../identity/did_key.ts", import.meta.url);
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", root.pathname] })
    .output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: { specifier: string }[] };
  const local = modules.map(({ specifier }) => specifier).filter((specifier) =>
    specifier.startsWith("file:")
  );
  assert.deepEqual(local.map((url) => url.split("/").slice(-2).join("/")).sort(), [
    "core/errors.ts",
    "core/remembering.ts",
    "identity/did_key.ts",
    "identity/peer_id.ts",
  ]);
  assert.ok(!modules.some(({ specifier }) => specifier.startsWith("node:")));
  for (const url of local) {
    assert.doesNotMatch(await Deno.readTextFile(new URL(url)), /\b(Deno|Buffer|process)\./);
  }
});
