import assert from "node:assert/strict";
import { CodedError } from "../../../core/errors.ts";
import { createLocalChannel } from "../../../daemon/artifacts/local_channel.ts";

const chunk = (sequence: number) =>
  ({ type: "chunk", sequence, data: new Uint8Array([sequence]), isLast: false }) as const;

Deno.test("createLocalChannel() resolves a send when the other end has taken the message", async () => {
  const { sender, receiver } = createLocalChannel("http:alice");
  assert.equal(receiver.peerId, "http:alice");
  let sent = 0;
  const sending = (async () => {
    for (let i = 0; i < 3; i++) {
      await sender.send(chunk(i));
      sent++;
    }
    await sender.close();
  })();
  for (let i = 0; i < 20; i++) await Promise.resolve();
  assert.equal(sent, 0);
  const seen: unknown[] = [];
  for await (const message of receiver.messages()) seen.push(message);
  await sending;
  assert.deepEqual(seen, [chunk(0), chunk(1), chunk(2)]);
});

Deno.test("createLocalChannel() refuses what is sent to an end that has left, or after the channel broke", async () => {
  const left = createLocalChannel("http:alice");
  await left.receiver.messages()[Symbol.asyncIterator]().return?.();
  await assert.rejects(left.sender.send(chunk(0)), /has ended/);
  const broken = createLocalChannel("http:alice");
  const reading = broken.receiver.messages()[Symbol.asyncIterator]().next();
  const sending = broken.receiver.send({ type: "done" });
  broken.sender.abort(new CodedError("unavailable", "torn"));
  await assert.rejects(reading, /torn/);
  await assert.rejects(sending, /torn/);
});

Deno.test("createLocalChannel() takes a message back when the signal of its send fires", async () => {
  const { sender, receiver } = createLocalChannel("http:alice");
  const call = new AbortController();
  const sending = sender.send(chunk(0), { signal: call.signal });
  call.abort(new CodedError("cancelled", "enough"));
  await assert.rejects(sending, /enough/);
  await sender.close();
  assert.equal((await receiver.messages()[Symbol.asyncIterator]().next()).done, true);
});
