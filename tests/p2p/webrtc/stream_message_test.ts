import assert from "node:assert/strict";
import {
  encodeStreamMessage,
  FLAG,
  MAX_CONTENT_BYTES,
  StreamMessageReader,
} from "../../../p2p/webrtc/stream_message.ts";

Deno.test("encodeStreamMessage() writes what libp2p's protobuf says", () => {
  assert.equal(encodeStreamMessage({ flag: FLAG.finAck }).toHex(), "020803");
  assert.equal(encodeStreamMessage({ content: Uint8Array.of(1, 2) }).toHex(), "0412020102");
  assert.equal(encodeStreamMessage({ flag: FLAG.fin, content: Uint8Array.of(9) }).toHex(), "050800120109");
  assert.ok(encodeStreamMessage({ content: new Uint8Array(MAX_CONTENT_BYTES) }).length <= 4_096);
});

Deno.test("StreamMessageReader takes messages out of whatever pieces they come in", () => {
  const content = new Uint8Array(MAX_CONTENT_BYTES).fill(7);
  const bytes = [{ content }, { flag: FLAG.reset }, {}].map(encodeStreamMessage);
  const whole = Uint8Array.from(bytes.flatMap((one) => [...one]));
  for (const size of [3, 4_096, whole.length]) {
    const reader = new StreamMessageReader();
    const got = [];
    for (let i = 0; i < whole.length; i += size) got.push(...reader.take(whole.subarray(i, i + size)));
    assert.deepEqual(got, [
      { flag: undefined, content },
      { flag: FLAG.reset, content: undefined },
      { flag: undefined, content: undefined },
    ]);
  }
  // Fields of later versions are passed over.
  const later = Uint8Array.fromHex("0e" + "1805" + "2203aabbcc" + "2d01020304" + "0801");
  assert.deepEqual([...new StreamMessageReader().take(later)], [{ flag: 1, content: undefined }]);
});

Deno.test("StreamMessageReader refuses what is too long or malformed", () => {
  for (const hex of ["818001", "ffffffffff", "021205", "0208ff", "0113", "0309000102"]) {
    assert.throws(() => [...new StreamMessageReader().take(Uint8Array.fromHex(hex))], SyntaxError, hex);
  }
});
