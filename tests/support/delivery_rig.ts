import assert from "node:assert/strict";
import { Delivery, type DeliveryOptions } from "../../a2a/delivery.ts";
import type { DeliveryDeps } from "../../a2a/delivery_lane.ts";
import type { Answer, EnvelopeTransport, OutboxEntry } from "../../a2a/mod.ts";
import { silentLogger } from "../../core/log.ts";
import { FakeClock } from "./fake_clock.ts";

/** The answer of a peer that took an envelope. */
export const TAKEN: Answer = { outcome: "taken" };

/** Lets everything happen that waits for nothing outside. */
export async function ticks(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** The way to peers, which a test holds in its hands. */
function createWay() {
  const sent: string[] = [];
  const way = {
    connected: true,
    connects: 0,
    window: 16,
    onAnswered: () => Promise.resolve(),
    answer: (_envelopeId: string): Promise<Answer> => Promise.resolve(TAKEN),
    sent,
  };
  const transport: EnvelopeTransport = {
    peerId: "me",
    isConnected: () => way.connected,
    framingOf: () => "2.0",
    windowOf: () => way.window,
    connect: () => {
      way.connects++;
      return Promise.resolve();
    },
    send: (_peerId, { envelopeId }) => {
      sent.push(envelopeId);
      return way.answer(envelopeId);
    },
  };
  return { way, transport };
}

/** An outbox in memory. */
function createOutbox() {
  const stored = new Map<number, OutboxEntry>();
  const reading = { before: () => Promise.resolve(), found: [] as number[] };
  const store: DeliveryDeps["store"] = {
    outbox: async ({ peerId, lane }, { limit, after }) => {
      const found = [...stored.values()].filter((entry) =>
        entry.peerId === peerId && entry.lane === lane && entry.sequence > after
      ).sort((a, b) => a.sequence - b.sequence).slice(0, limit);
      reading.found.push(found.length);
      await reading.before();
      return found;
    },
    outboxPeers: () => Promise.resolve([]),
    removeOutbox: (entries) => {
      for (const { sequence } of entries) stored.delete(sequence);
      return Promise.resolve();
    },
  };
  return { stored, reading, store };
}

/** A delivery over an outbox in memory and a way to peers that a test holds in its hands. */
export function startDelivery(options: DeliveryOptions = {}) {
  const clock = new FakeClock();
  const expired: string[] = [];
  const { way, transport } = createWay();
  const { stored, reading, store } = createOutbox();
  const delivery = new Delivery({
    store,
    transport,
    clock,
    logger: silentLogger,
    onExpired: ({ envelopeId }) => Promise.resolve(void expired.push(envelopeId)),
    onAnswered: () => way.onAnswered(),
    onBusy: () => Promise.resolve(false),
  }, options);
  const commit = (...entries: OutboxEntry[]) => {
    for (const entry of entries) stored.set(entry.sequence, entry);
  };
  const put = (...entries: OutboxEntry[]) => {
    commit(...entries);
    delivery.reserve(entries);
    delivery.enqueue(entries);
  };
  const end = async () => {
    await delivery.close();
    await ticks();
    assert.equal(clock.sleeping, 0);
  };
  return { clock, delivery, stored, sent: way.sent, expired, way, reading, commit, put, end };
}

/** A request, each of a task of its own unless `changes` say otherwise. */
export function entry(sequence: number, changes: Partial<OutboxEntry> = {}): OutboxEntry {
  return {
    peerId: "p",
    lane: "requests",
    sequence,
    taskId: `t${sequence}`,
    envelopeId: `${sequence}`,
    type: "send_task",
    bytes: new Uint8Array(10),
    queuedAtMs: 0,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    ...changes,
  };
}

/** Requests with these sequences. */
export function range(from: number, to: number): OutboxEntry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i));
}
