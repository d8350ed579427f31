import { BinaryWriter } from "@bufbuild/protobuf/wire";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { AgentCard } from "../../a2a/mod.ts";
import { silentLogger } from "../../core/log.ts";
import { CardBook, MAX_CARD_BYTES } from "../../daemon/cards.ts";
import { decodeCard, encodeCard, encodeSignedCard } from "../../daemon/convert/card.ts";
import { appendSignature } from "../../daemon/convert/card_signature.ts";
import { mergeCards } from "../../daemon/merge_cards.ts";
import { createIdentity } from "../../identity/mod.ts";
import { createMemoryKvStore, ownCardKey, peerCardKey } from "../../kv/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const other = createIdentity(new Uint8Array(32).fill(2));
const card: AgentCard = { ...decodeCard(new Uint8Array()), name: "Echo", skills: [skill("echo")] };

function skill(id: string) {
  return { id, name: "", description: "", tags: [], inputSchema: "", outputSchema: "" };
}

function partOf(own: AgentCard | undefined) {
  assert.ok(own);
  const { signedAtMs: _, ...rest } = own;
  return rest;
}

async function openBook(kv = createMemoryKvStore()) {
  return await CardBook.open({ kv, identity: me, logger: silentLogger });
}

Deno.test("setOwn() claims the card for this node and keeps it over a restart", async () => {
  const kv = createMemoryKvStore();
  const book = await openBook(kv);
  assert.equal(book.own, undefined);
  const own = await book.setOwn({ ...card, peerId: other.peerId, didKey: other.didKey });
  assert.deepEqual([own.peerId, own.didKey, own.version, own.protocolVersion], [
    me.peerId,
    me.didKey,
    "1.0.0",
    "a2a/0.3",
  ]);
  const { signedAtMs: _, ...rest } = own;
  assert.deepEqual(partOf((await openBook(kv)).own), rest);
});

Deno.test("setOwn() signs the card at the time of its clock", async () => {
  const clock = new FakeClock();
  const book = await CardBook.open({ kv: createMemoryKvStore(), identity: me, logger: silentLogger, clock });
  assert.equal((await book.setOwn(card)).signedAtMs, clock.now());
});

Deno.test("ownSigned is a card that a peer finds signed by its node", async () => {
  const book = await openBook();
  const own = await book.setOwn(card);
  const peers = await CardBook.open({ kv: createMemoryKvStore(), identity: other, logger: silentLogger });
  assert.ok(book.ownSigned);
  assert.deepEqual(await peers.take(me.peerId, book.ownSigned), own);
  assert.equal((await peers.of(me.peerId))?.signedAtMs, own.signedAtMs);
  assert.ok(own.signedAtMs > 0);
});

Deno.test("take() refuses a signed card that was changed or signed by another key", async () => {
  const book = await openBook();
  const theirs = { ...card, peerId: other.peerId };
  const signed = encodeSignedCard(theirs, { identity: other, nowMs: 5 });
  const changed = signed.with(signed.indexOf("E".charCodeAt(0)), "F".charCodeAt(0)); // "Echo" is "Fcho"
  const byAnother = encodeSignedCard(theirs, { identity: me, nowMs: 5 });
  for (const bytes of [changed, byAnother]) {
    await assert.rejects(book.take(other.peerId, bytes), { code: "invalid_argument", message: /forged/ });
  }
  assert.equal(await book.of(other.peerId), undefined);
  assert.equal((await book.take(other.peerId, signed)).signedAtMs, 5);
});

Deno.test("take() takes a card without a signature as one that is not signed, whatever it says", async () => {
  const book = await openBook();
  const claims = encodeCard({ ...card, peerId: other.peerId, signedAtMs: 99 });
  assert.equal((await book.take(other.peerId, claims)).signedAtMs, 0);
});

Deno.test("decodeCard() verifies fields that this version does not know with the rest", () => {
  const later = new BinaryWriter().raw(encodeCard({ ...card, peerId: me.peerId })).tag(777, 2).string("new")
    .finish();
  assert.equal(decodeCard(appendSignature(later, me)).name, "Echo");
  const cut = new BinaryWriter().raw(encodeCard({ ...card, peerId: me.peerId })).finish();
  const signature = appendSignature(later, me).subarray(later.length);
  assert.throws(() => decodeCard(Buffer.concat([cut, signature])), { code: "invalid_argument" });
});

Deno.test("setOwn() refuses a card without name, with doubled skills or too large", async () => {
  const book = await openBook();
  const bad = [
    { ...card, name: " " },
    { ...card, skills: [skill("a"), skill("a")] },
    { ...card, skills: [skill("")] },
    { ...card, description: "x".repeat(MAX_CARD_BYTES) },
    { ...card, relayAddresses: Array(2000).fill("") },
  ];
  for (const one of bad) await assert.rejects(book.setOwn(one), { code: "invalid_argument" });
  assert.equal(book.own, undefined);
});

Deno.test("take() keeps a peer's card and proves its did:key by the connection", async () => {
  const kv = createMemoryKvStore();
  const forged = encodeCard({ ...card, didKey: "did:key:zForged" });
  await (await openBook(kv)).take(other.peerId, forged);
  const kept = await (await openBook(kv)).of(other.peerId);
  assert.deepEqual([kept?.name, kept?.peerId, kept?.didKey], ["Echo", other.peerId, other.didKey]);
});

Deno.test("take() refuses another peer's card, garbage and too many bytes", async () => {
  const book = await openBook();
  const bad = [
    encodeCard({ ...card, peerId: me.peerId }),
    new Uint8Array([0xff, 0xff, 0xff]),
    new Uint8Array(MAX_CARD_BYTES + 1),
    new Uint8Array(MAX_CARD_BYTES).map((_, i) => i % 2 === 0 ? 0x2a : 0), // nothing but empty skills
  ];
  for (const bytes of bad) await assert.rejects(book.take(other.peerId, bytes), { code: "invalid_argument" });
  assert.equal(await book.of(other.peerId), undefined);
});

Deno.test("take() refuses a card that would be too large to read again", async () => {
  const kv = createMemoryKvStore();
  const book = await openBook(kv);
  const skills = (length: number) => new Uint8Array(2 * length).map((_, i) => i % 2 === 0 ? 0x2a : 0);
  await assert.rejects(book.take(other.peerId, skills(2001)), { code: "invalid_argument" });
  assert.equal(await kv.get(peerCardKey(other.peerId)), undefined);
  await book.take(other.peerId, skills(2000));
  assert.equal((await (await openBook(kv)).of(other.peerId))?.skills.length, 2000);
});

Deno.test("of() reads the newest cards from memory and those beyond 16 MiB from the store", async () => {
  const kv = createMemoryKvStore();
  const read: string[] = [];
  const book = await openBook({
    get: (key) => {
      read.push(String(key.at(-1)));
      return kv.get(key);
    },
    list: (...args) => kv.list(...args),
    commit: (operations) => kv.commit(operations),
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  });
  const bytes = encodeCard({ ...card, description: "x".repeat(MAX_CARD_BYTES - 1024) });
  const peers = Array.from({ length: 70 }, (_, i) => `peer${i}`);
  for (const peer of peers) await book.take(peer, bytes);
  read.length = 0;
  for (const peer of peers.toReversed()) assert.equal((await book.of(peer))?.peerId, peer);
  const inMemory = Math.floor(16 * 1024 * 1024 / bytes.length);
  assert.deepEqual(read, peers.slice(0, -inMemory).toReversed());
});

Deno.test("CardBook.open() survives a damaged own card", async () => {
  const kv = createMemoryKvStore();
  await kv.commit([{ op: "set", key: ownCardKey, value: new Uint8Array([0xff]) }]);
  assert.equal((await openBook(kv)).own, undefined);
});

Deno.test("take() writes a card that is the same only once, and none that changes all the time", async () => {
  const kv = createMemoryKvStore();
  let commits = 0;
  const book = await openBook({
    get: (key) => kv.get(key),
    list: (...args) => kv.list(...args),
    commit: (operations) => {
      commits++;
      return kv.commit(operations);
    },
    [Symbol.asyncDispose]: () => kv[Symbol.asyncDispose](),
  });
  const bytes = encodeCard(card);
  for (let i = 0; i < 50; i++) await book.take(other.peerId, bytes);
  assert.equal(commits, 1);
  const change = async (i: number) => {
    await book.take(other.peerId, encodeCard({ ...card, description: `${i}` }));
  };
  await assert.rejects(async () => {
    for (let i = 0; i < 50; i++) await change(i);
  }, { code: "resource_exhausted" });
  assert.ok(commits < 30);
  assert.equal((await book.take(me.peerId, bytes)).name, "Echo"); // others are not in its way
});

Deno.test("setAttached() shows the cards of agents as one, beside one that was set in this run and in place of an older one", async () => {
  const kv = createMemoryKvStore();
  const before = await openBook(kv);
  await before.setOwn({ ...card, name: "Old", skills: [skill("old")] });
  const book = await openBook(kv);
  const painter = {
    ...card,
    name: "Painter",
    description: "Paints",
    skills: [skill("paint"), skill("echo")],
  };
  const echo = { ...card, description: "Echoes", skills: [{ ...skill("echo"), description: "first" }] };
  await book.setAttached([painter]);
  assert.deepEqual(skillsOf(book), ["paint", "echo"]);
  await book.setAttached([painter, echo]);
  assert.deepEqual([book.own?.name, book.own?.description], [
    "Echo, Painter",
    "Echo: Echoes\nPainter: Paints",
  ]);
  assert.deepEqual(skillsOf(book), ["echo", "paint"]);
  assert.equal(book.own?.skills[0]?.description, "first");
  await book.setAttached([]);
  assert.equal(book.own?.name, "Old");
  await book.setOwn({ ...card, name: "Set", skills: [skill("set")] });
  await book.setAttached([painter]);
  assert.deepEqual(skillsOf(book), ["paint", "echo", "set"]);
  assert.equal((await openBook(kv)).own?.name, "Set", "what agents show is not stored");
});

Deno.test("setAttached() leaves the card as it was when one cannot be used", async () => {
  const book = await openBook();
  await book.setAttached([card]);
  const huge = { ...card, name: "Huge", description: "x".repeat(MAX_CARD_BYTES) };
  for (const bad of [{ ...card, name: " " }, huge]) {
    await assert.rejects(book.setAttached([card, bad]), { code: "invalid_argument" });
  }
  assert.deepEqual([book.own?.name, skillsOf(book)], ["Echo", ["echo"]]);
});

Deno.test("mergeCards() calls a node of many agents by three of their names, and unites the tags of a skill", () => {
  const cards = ["d", "a", "c", "b", "e", "a"].map((name) => ({ ...card, name }));
  assert.equal(mergeCards(cards)?.name, "a, b, c and 2 more");
  assert.equal(mergeCards([]), undefined);
  assert.equal(mergeCards([card]), card);
  const tagged = (name: string, ...tags: string[]) => ({
    ...card,
    name,
    skills: [{ ...skill("echo"), tags }],
  });
  assert.deepEqual(mergeCards([tagged("b", "en"), tagged("a", "fr", "en")])?.skills, [
    { ...skill("echo"), tags: ["fr", "en"] },
  ]);
});

function skillsOf({ own }: CardBook): string[] | undefined {
  return own?.skills.map(({ id }) => id);
}
