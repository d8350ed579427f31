import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { MAX_FRAME_BYTES } from "../../p2p/constants.ts";
import { encodeFrame, FrameDecoder, frameHeader } from "../../p2p/frames.ts";

const hex = (bytes: Uint8Array) => bytes.toHex();
const decodeAll = (decoder: FrameDecoder, ...chunks: Uint8Array[]) =>
  chunks.flatMap((chunk) => [...decoder.decode(chunk)].map(hex));

Deno.test("encodeFrame() makes the bytes of the existing network", () => {
  const ack = Uint8Array.fromHex("0a02653110088a01040a027831");
  assert.equal(hex(encodeFrame(ack)), "0000000d" + "0a02653110088a01040a027831");
  const sendTask = Uint8Array.fromHex("0a026532100152160a0274311a0a10011a060a040a02686922046563686f");
  assert.equal(
    hex(encodeFrame(sendTask)),
    "0000001e" + "0a026532100152160a0274311a0a10011a060a040a02686922046563686f",
  );
  assert.equal(hex(encodeFrame(new Uint8Array(0))), "00000000");
});

Deno.test("frameHeader() allows 16 MiB and refuses one byte more", () => {
  assert.equal(hex(frameHeader(MAX_FRAME_BYTES)), "01000000");
  assert.throws(
    () => frameHeader(MAX_FRAME_BYTES + 1),
    (error) => error instanceof CodedError && error.code === "invalid_argument",
  );
});

Deno.test("FrameDecoder finds the same frames wherever the bytes are split", () => {
  const bodies = ["", "61", "626364", "", "ff".repeat(9)];
  const wire = Uint8Array.fromHex(bodies.map((body) => hex(encodeFrame(Uint8Array.fromHex(body)))).join(""));
  for (let split = 0; split <= wire.length; split++) {
    const decoder = new FrameDecoder();
    assert.deepEqual(
      decodeAll(decoder, wire.subarray(0, split), wire.subarray(split)),
      bodies,
      `split at ${split}`,
    );
    decoder.end();
  }
  const byteByByte = new FrameDecoder();
  assert.deepEqual(decodeAll(byteByByte, ...Array.from(wire, (byte) => Uint8Array.of(byte))), bodies);
});

Deno.test("FrameDecoder returns frames that later chunks do not change", () => {
  const decoder = new FrameDecoder();
  const chunk = encodeFrame(Uint8Array.of(1, 2, 3));
  const [first] = [...decoder.decode(chunk)];
  chunk.fill(9);
  const [second] = [...decoder.decode(encodeFrame(Uint8Array.of(4, 5, 6)))];
  assert.equal(hex(first!), "010203");
  assert.equal(hex(second!), "040506");
});

Deno.test("FrameDecoder reads a frame of exactly 16 MiB", () => {
  const body = new Uint8Array(MAX_FRAME_BYTES);
  for (let i = 0; i < body.length; i += 4096) body[i] = i / 4096;
  const wire = encodeFrame(body);
  const decoder = new FrameDecoder();
  const frames: Uint8Array[] = [];
  for (let offset = 0; offset < wire.length; offset += 65_536) {
    frames.push(...decoder.decode(wire.subarray(offset, offset + 65_536)));
  }
  assert.equal(frames.length, 1);
  assert.equal(frames[0]!.length, MAX_FRAME_BYTES);
  assert.ok(frames[0]!.every((byte, index) => byte === body[index]));
});

Deno.test("FrameDecoder throws out_of_range when more than 16 MiB are announced", () => {
  const decoder = new FrameDecoder();
  assert.throws(
    () => decodeAll(decoder, Uint8Array.fromHex("01000001")),
    (error) => error instanceof CodedError && error.code === "out_of_range" && /16777217/.test(error.message),
  );
});

Deno.test("FrameDecoder holds what has arrived and not what was announced", () => {
  const decoder = new FrameDecoder();
  assert.deepEqual(decodeAll(decoder, Uint8Array.fromHex("01000000" + "aa")), []);
  assert.equal(decoder.pendingBytes, 1);
  const [frame] = [...new FrameDecoder().decode(encodeFrame(new Uint8Array(5000)))];
  assert.equal(frame!.buffer.byteLength, 5000);
});

Deno.test("FrameDecoder.end() throws data_loss when a frame is cut and is content between frames", () => {
  for (const cut of ["00", "000000", "00000002", "00000002ff"]) {
    const decoder = new FrameDecoder();
    assert.deepEqual(decodeAll(decoder, Uint8Array.fromHex(cut)), []);
    assert.throws(
      () => decoder.end(),
      (error) => error instanceof CodedError && error.code === "data_loss",
      cut,
    );
  }
  const whole = new FrameDecoder();
  assert.deepEqual(decodeAll(whole, Uint8Array.fromHex("00000001ff")), ["ff"]);
  whole.end();
});

Deno.test("FrameDecoder copies a short frame and returns a long one that lies in one chunk as a view of it", () => {
  for (const [length, isView] of [[16_383, false], [16_384, true], [100_000, true]] as const) {
    const chunk = encodeFrame(new Uint8Array(length).fill(7));
    const [frame] = [...new FrameDecoder().decode(chunk)];
    assert.equal(frame!.length, length);
    assert.equal(frame!.buffer === chunk.buffer, isView, `${length}`);
  }
});

Deno.test("FrameDecoder takes frames up to the length it was given", () => {
  const header = (length: number) => frameHeader(length, length);
  const decoder = new FrameDecoder(MAX_FRAME_BYTES + 10);
  assert.deepEqual(decodeAll(decoder, header(MAX_FRAME_BYTES + 10)), []);
  assert.ok(decoder.begun);
  assert.throws(() => decodeAll(new FrameDecoder(9), header(10)), { code: "out_of_range" });
  assert.equal(new FrameDecoder(9).begun, false);
});
