import assert from "node:assert/strict";
import type { Connection } from "@libp2p/interface";
import { A2A_PROTOCOL } from "../../p2p/constants.ts";
import { negotiateAhead } from "../../p2p/negotiate_ahead.ts";

const SPOKEN = "/spoken/1";
const lines = (protocol: string) =>
  `\x13/multistream/1.0.0\n${String.fromCharCode(protocol.length + 1)}${protocol}\n`;
const bytes = (text: string) => new TextEncoder().encode(text);

/** What a stream or connection was told, and what comes to it. */
class Wire {
  protocol = "";
  sent = "";
  taken = "";
  pushed = "";
  failed: Error | undefined;
  closed = false;
  readonly #events = new EventTarget();

  addEventListener(type: "close", listener: () => void, options: { once: true }): void {
    this.#events.addEventListener(type, listener, options);
  }

  close(_options?: { signal: AbortSignal }): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  send(data: Uint8Array): boolean {
    this.sent += new TextDecoder().decode(data);
    return true;
  }

  onData(data: Uint8Array): void {
    this.taken += new TextDecoder().decode(data);
  }

  push(data: Uint8Array): void {
    this.pushed += new TextDecoder().decode(data);
  }

  abort(error: Error): void {
    this.failed = error;
    this.#events.dispatchEvent(new Event("close"));
  }
}

/** A connection whose peer speaks {@link SPOKEN}, and the upgrader behind it. */
function rig() {
  let opened: (connection: Connection) => void = () => {};
  const upgrader = { upgradeOutbound: (wire: Wire, _options: object) => Promise.resolve(wire) };
  const muxer = { createStream: (_options: { protocol?: string }) => Promise.resolve(new Wire()) };
  negotiateAhead({
    upgrader,
    encryption: "/noise",
    onConnection: (listener) => opened = listener,
    speaks: (_connection, protocol) => Promise.resolve(protocol === SPOKEN || protocol === A2A_PROTOCOL),
  });
  opened({ muxer } as unknown as Connection);
  return { upgrader, open: (protocol: string) => muxer.createStream({ protocol }) };
}

Deno.test("negotiateAhead() asks for a known protocol with the first bytes, and leaves the answer out when it comes", async () => {
  const stream = await rig().open(SPOKEN);
  assert.deepEqual([stream.protocol, stream.sent], [SPOKEN, lines(SPOKEN)]);
  const answer = bytes(`${lines(SPOKEN)}hello`);
  for (const piece of [answer.subarray(0, 7), answer.subarray(7, 24), answer.subarray(24)]) {
    stream.onData(piece);
  }
  stream.onData(bytes(" again"));
  assert.deepEqual([stream.taken, stream.failed], ["hello again", undefined]);
});

Deno.test("negotiateAhead() ends a stream whose peer does not speak the protocol after all", async () => {
  const stream = await rig().open(SPOKEN);
  const closing = assert.rejects(stream.close(), { name: "UnsupportedProtocolError" });
  stream.onData(bytes("\x13/multistream/1.0.0\n\x03na\n"));
  assert.deepEqual([stream.failed?.name, stream.taken], ["UnsupportedProtocolError", ""]);
  await closing;
});

Deno.test("negotiateAhead() holds the end of a stream back until the answer is there or the stream is over", async () => {
  const { open } = rig();
  const [answered, reset, late] = [await open(SPOKEN), await open(SPOKEN), await open(SPOKEN)];
  const closing = [answered.close(), reset.close()];
  const giveUp = new AbortController();
  const given = assert.rejects(late.close({ signal: giveUp.signal }), { name: "AbortError" });
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual([answered.closed, reset.closed], [false, false]);
  answered.onData(bytes(lines(SPOKEN)));
  reset.abort(new Error("reset"));
  giveUp.abort();
  await Promise.all([...closing, given]);
  assert.deepEqual([answered.closed, reset.closed, late.closed], [true, true, false]);
});

Deno.test("negotiateAhead() waits for the answer where the protocol is not known, or where nothing else comes back", async () => {
  const { open } = rig();
  for (const protocol of ["/unknown/1", A2A_PROTOCOL]) {
    const stream = await open(protocol);
    assert.deepEqual([stream.protocol, stream.sent], ["", ""]);
  }
});

Deno.test("negotiateAhead() has encryption begin at once, unless it is skipped or the other side begins", async () => {
  const { upgrader } = rig();
  const dialed = new Wire();
  await upgrader.upgradeOutbound(dialed, {});
  assert.equal(dialed.pushed, lines("/noise"));
  dialed.onData(bytes(`${lines("/noise")}\x00\x20`));
  assert.equal(dialed.taken, "\x00\x20");
  for (const options of [{ skipEncryption: true }, { initiator: false }]) {
    const other = new Wire();
    await upgrader.upgradeOutbound(other, options);
    assert.equal(other.pushed, "");
  }
});
