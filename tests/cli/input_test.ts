import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { collectPair, parseCount, parseSeconds } from "../../cli/arguments.ts";
import { toCall } from "../../cli/call_text.ts";
import { parseCard } from "../../cli/parse_card.ts";
import { readText } from "../../cli/read_text.ts";
import { CodedError } from "../../core/errors.ts";

const source = (...chunks: Uint8Array[]) => ({ readable: ReadableStream.from(chunks) });
const isInvalid = (error: unknown) => error instanceof CodedError && error.code === "invalid_argument";

Deno.test("readText() joins characters that are cut in two", async () => {
  const bytes = new TextEncoder().encode("a😀b\n");
  equal(await readText(source(bytes.subarray(0, 3), bytes.subarray(3))), "a😀b\n");
});

Deno.test("readText() throws invalid_argument when the input is too long or no text", async () => {
  equal(await readText(source(new Uint8Array(4).fill(97)), 4), "aaaa");
  await rejects(readText(source(new Uint8Array(4).fill(97), Uint8Array.of(97)), 4), isInvalid);
  await rejects(readText(source(Uint8Array.of(0xff))), isInvalid);
  await rejects(readText(source(Uint8Array.of(0xc3))), isInvalid);
});

Deno.test("parseSeconds() answers milliseconds", () => {
  equal(parseSeconds("30"), 30_000);
  equal(parseSeconds("0.5"), 500);
  for (const text of ["0", "-1", "", "abc", "1e3", "Infinity", "604801"]) {
    throws(() => parseSeconds(text), text);
  }
});

Deno.test("parseCount() takes whole numbers up to its limit", () => {
  equal(parseCount(10)("10"), 10);
  for (const text of ["11", "-1", "1.5", "", "x"]) throws(() => parseCount(10)(text), text);
});

Deno.test("collectPair() keeps what follows the first equals sign", () => {
  deepEqual(collectPair("b=2=3", collectPair("a=")), { a: "", b: "2=3" });
  for (const text of ["a", "=b", ""]) throws(() => collectPair(text), text);
});

Deno.test("toCall() names the home as a shell takes it", () => {
  equal(toCall("status", {}), "agentanycast status");
  equal(toCall("task get 1", { home: "~/a" }), "agentanycast task get 1 --home ~/a");
  equal(toCall("status", { home: "/it's here" }), `agentanycast status --home '/it'\\''s here'`);
});

Deno.test("parseCard() reads what `card --json` prints, and leaves to the node what it decides", () => {
  const skills = [{ id: "a", description: "does a", tags: ["x"] }];
  deepEqual(parseCard({ name: "N", skills, peerId: "12D3", didKey: "did", supportedTransports: ["tcp"] }), {
    name: "N",
    skills,
    supportedTransports: ["tcp"],
  });
  deepEqual(parseCard({ name: "N" }), { name: "N", skills: [] });
});

const BAD_CARDS: readonly (readonly [card: unknown, fault: RegExp])[] = [
  [[], /the card must be an object/],
  [{ skills: [] }, /name must be a text/],
  [{ name: "N", skils: [] }, /unknown member "skils"/],
  [{ name: "N", skills: {} }, /skills must be an array/],
  [{ name: "N", skills: [{}] }, /skills\[0\]\.id must be a text/],
  [{ name: "N", skills: [{ id: "a", tags: [1] }] }, /tags\[0\] must be a text/],
  [{ name: "N", version: 1 }, /version must be a text/],
];
for (const [card, fault] of BAD_CARDS) {
  Deno.test(`parseCard() throws ${fault.source}`, () => {
    throws(() => parseCard(card), (error) => error instanceof SyntaxError && fault.test(error.message));
  });
}
