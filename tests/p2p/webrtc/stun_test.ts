import assert from "node:assert/strict";
import {
  createUfrag,
  encodeRequest,
  encodeResponse,
  isStun,
  parseStun,
  UFRAG_PREFIX,
} from "../../../p2p/webrtc/stun.ts";

/** The sample request of RFC 5769, 2.1. */
const SAMPLE = Uint8Array.fromHex(
  "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74" +
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020" +
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
);
const TRANSACTION = Uint8Array.from({ length: 12 }, (_, i) => i);

Deno.test("parseStun() reads the sample of RFC 5769 and knows who has sent it", () => {
  const message = parseStun(SAMPLE);
  assert.deepEqual([message?.kind, message?.ufrag], ["request", "evtj"]);
  assert.ok(message?.isProvenBy("VOkJxbRl1RmTxUk/WvJxBt"));
  assert.ok(!message?.isProvenBy("VOkJxbRl1RmTxUk/WvJxBu"));
});

Deno.test("encodeRequest() and encodeResponse() make what parseStun() reads", () => {
  const ufrag = createUfrag();
  assert.ok(ufrag.startsWith(UFRAG_PREFIX) && ufrag.length <= 256);
  const request = parseStun(encodeRequest(TRANSACTION, ufrag));
  assert.deepEqual([request?.kind, request?.ufrag, request?.isProvenBy(ufrag)], ["request", ufrag, true]);
  for (const hostname of ["192.0.2.1", "2001:db8::1"]) {
    const response = encodeResponse(TRANSACTION, ufrag, { hostname, port: 32853 });
    const parsed = parseStun(response);
    assert.deepEqual([parsed?.kind, parsed?.isProvenBy(ufrag)], ["success", true]);
    assert.deepEqual(parsed?.transaction, TRANSACTION);
  }
  // RFC 5769, 2.2 has this address under the same cookie.
  const mapped = encodeResponse(TRANSACTION, ufrag, { hostname: "192.0.2.1", port: 32853 }).toHex();
  assert.ok(mapped.includes("002000080001a147e112a643"));
});

Deno.test("parseStun() makes nothing of what is damaged, cut or too long", () => {
  for (let length = 0; length < SAMPLE.length; length++) {
    assert.equal(parseStun(SAMPLE.subarray(0, length)), undefined);
  }
  for (let i = 0; i < SAMPLE.length * 8; i++) {
    const damaged = SAMPLE.slice();
    damaged[i >> 3]! ^= 1 << i % 8;
    const password = "VOkJxbRl1RmTxUk/WvJxBt";
    // What stands behind the proof is the checksum alone.
    if (i >> 3 < SAMPLE.length - 8) assert.ok(!parseStun(damaged)?.isProvenBy(password), `bit ${i}`);
  }
  assert.equal(parseStun(new Uint8Array(1_000)), undefined);
  assert.ok(!isStun(Uint8Array.of(0, 1)));
});
