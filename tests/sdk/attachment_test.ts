import assert from "node:assert/strict";
import { Channel } from "../../core/channel.ts";
import { Attachment, type DaemonEvent } from "../../sdk/attachment.ts";
import type { DaemonClient } from "../../sdk/daemon_client.ts";
import { AgentAnycastError } from "../../sdk/errors.ts";
import type { AgentCard } from "../../sdk/model.ts";
import { within } from "../support/patience.ts";

type Told = { event: { case: string; value: unknown } };

/** A daemon of which the test plays each stream of an agent. */
class Streams {
  readonly #opened: { name: string; events: Channel<Told> }[] = [];
  #onOpened: () => void = () => {};

  stream(_method: unknown, { card }: { card?: { name: string } }, signal: AbortSignal): Channel<Told> {
    const events = new Channel<Told>(10);
    signal.addEventListener("abort", () => events.close(signal.reason), { once: true });
    if (signal.aborted) events.close(signal.reason);
    this.#opened.push({ name: card?.name ?? "", events });
    this.#onOpened();
    return events;
  }

  /** The stream that is opened next. */
  async next(): Promise<{ name: string; events: Channel<Told> }> {
    while (this.#opened.length === 0) {
      await within("another stream", new Promise<void>((resolve) => this.#onOpened = resolve));
    }
    return this.#opened.shift()!;
  }
}

async function open() {
  const streams = new Streams();
  const stop = new AbortController();
  const told: string[] = [];
  const shown: { card: AgentCard } = { card: { name: "First", skills: [] } };
  const attachment = new Attachment({
    daemon: streams as unknown as DaemonClient,
    card: () => shown.card,
    onEvent: (event: DaemonEvent) => told.push(event.kind),
    report: () => {},
  }, stop.signal);
  const attach = async () => {
    const attached = attachment.attach();
    const { name, events } = await streams.next();
    events.push(attachedEvent);
    await attached;
    return { name, events };
  };
  const first = await attach();
  return { streams, stop, told, shown, attachment, attach, first };
}

const attachedEvent: Told = { event: { case: "attached", value: {} } };

Deno.test("attach() that fails while the connection breaks leaves the agent attached as it was", async () => {
  const { streams, stop, shown, attachment, first } = await open();
  shown.card = { name: "bad", skills: [] };
  const failed = assert.rejects(attachment.attach(), { code: "invalid_argument" });
  const second = await streams.next();
  first.events.close(new AgentAnycastError("unavailable", "The daemon is gone"));
  shown.card = { name: "First", skills: [] };
  second.events.close(new AgentAnycastError("invalid_argument", "No such card"));
  await failed;
  const again = await streams.next();
  assert.equal(again.name, "First");
  stop.abort();
});

Deno.test("attach() takes the place of the stream before, whose peers are not told again", async () => {
  const { stop, told, shown, attach, first } = await open();
  shown.card = { name: "Second", skills: [] };
  const second = await attach();
  assert.equal(second.name, "Second");
  assert.equal(first.events.closed, true);
  assert.deepEqual(told, ["card_changed", "card_changed"]);
  stop.abort();
});

Deno.test("attach() is as its signal says when that has fired", async () => {
  const { stop, attachment } = await open();
  const reason = new Error("too late");
  await assert.rejects(attachment.attach(AbortSignal.abort(reason)), reason);
  stop.abort();
});
