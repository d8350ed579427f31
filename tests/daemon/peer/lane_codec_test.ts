import assert from "node:assert/strict";
import { decodeLaneFrame, encodeLaneFrame, type LaneFrame } from "../../../daemon/peer/lane_codec.ts";

const LIMITS = { maxUnansweredEnvelopes: 256, maxUnansweredBytes: 8_388_608, maxEnvelopeBytes: 16_777_216 };
const ACK = Uint8Array.fromHex("0a02653110088a01040a027831");

/** The bytes of each kind of frame; implementations of 2.0 have to make and take just these. */
const GOLDEN: readonly [hex: string, frame: Exclude<LaneFrame, { kind: "unknown" }>][] = [
  ["0a0d108002188080800420808080" + "08", { kind: "hello", limits: LIMITS }],
  [
    "1213" + "0a110801120d" + "0a02653110088a01040a027831",
    { kind: "envelopes", envelopes: [{ number: 1, bytes: ACK }] },
  ],
  ["1a060a0408011001", { kind: "answers", answers: [{ number: 1, answer: { outcome: "taken" } }] }],
  [
    "1a1a0a09080210021a03626164" + "0a0d080310031a0766756c6c21212e",
    {
      kind: "answers",
      answers: [
        { number: 2, answer: { outcome: "refused", reason: "bad" } },
        { number: 3, answer: { outcome: "busy", reason: "full!!." } },
      ],
    },
  ],
  ["22020807", { kind: "ping", id: 7n }],
  ["2a020807", { kind: "pong", id: 7n }],
];

Deno.test("encodeLaneFrame() makes the bytes of the protocol, and decodeLaneFrame() reads them", () => {
  for (const [hex, frame] of GOLDEN) {
    assert.equal(encodeLaneFrame(frame).toHex(), hex, frame.kind);
    assert.deepEqual(decodeLaneFrame(Uint8Array.fromHex(hex), { maxItems: 10 }), frame);
  }
});

Deno.test("decodeLaneFrame() takes frames of later versions as unknown and ignores features", () => {
  const decode = (hex: string) => decodeLaneFrame(Uint8Array.fromHex(hex), { maxItems: 10 });
  assert.deepEqual(decode(""), { kind: "unknown" });
  assert.deepEqual(decode("fa0103616263"), { kind: "unknown" });
  assert.equal(decode("0a050a03616263").kind, "hello");
});

Deno.test("decodeLaneFrame() throws invalid_argument for garbage, too many items and outcomes that are not known", () => {
  const decode = (bytes: Uint8Array) => decodeLaneFrame(bytes, { maxItems: 10 });
  const invalid = { code: "invalid_argument" };
  assert.throws(() => decode(Uint8Array.fromHex("ffffffff")), invalid);
  assert.throws(() => decode(Uint8Array.fromHex("1a060a0408011009")), invalid);
  assert.throws(() => decode(Uint8Array.fromHex("1a040a020801")), invalid);
  const many = Array.from({ length: 200 }, (_, index) => ({ number: index + 1, bytes: new Uint8Array(0) }));
  assert.throws(() => decode(encodeLaneFrame({ kind: "envelopes", envelopes: many })), invalid);
});

Deno.test("encodeLaneFrame() shortens a reason that is very long", () => {
  const answer = { outcome: "refused", reason: "x".repeat(10_000) } as const;
  const bytes = encodeLaneFrame({ kind: "answers", answers: [{ number: 1, answer }] });
  assert.ok(bytes.length < 600, `${bytes.length} bytes`);
});
