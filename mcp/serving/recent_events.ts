import type { EventId, EventStore, JSONRPCMessage, StreamId } from "@modelcontextprotocol/server";

/** Events kept for a session. */
const MAX_EVENTS = 256;
/** Characters of JSON kept for a session; a larger event is not kept at all. */
const MAX_CHARACTERS = 1024 * 1024;

interface KeptEvent {
  readonly streamId: StreamId;
  readonly message: JSONRPCMessage;
  readonly size: number;
}

/** The last events of one session, so that a client whose connection broke gets what it missed. */
export class RecentEvents implements EventStore {
  /** By event id, the oldest first. */
  readonly #events = new Map<EventId, KeptEvent>();
  #size = 0;
  #count = 0;

  storeEvent(streamId: StreamId, message: JSONRPCMessage): Promise<EventId> {
    const eventId = `${streamId}/${this.#count++}`;
    const { length: size } = JSON.stringify(message);
    if (size <= MAX_CHARACTERS) {
      this.#events.set(eventId, { streamId, message, size });
      this.#size += size;
      this.#trim();
    }
    return Promise.resolve(eventId);
  }

  getStreamIdForEventId(eventId: EventId): Promise<StreamId | undefined> {
    return Promise.resolve(this.#events.get(eventId)?.streamId);
  }

  async replayEventsAfter(
    lastEventId: EventId,
    { send }: { send: (eventId: EventId, message: JSONRPCMessage) => Promise<void> },
  ): Promise<StreamId> {
    const streamId = lastEventId.slice(0, lastEventId.lastIndexOf("/"));
    let isBehind = false;
    for (const [eventId, event] of [...this.#events]) {
      // An event that only opened the stream has no message.
      const isMissed = isBehind && event.streamId === streamId && Object.keys(event.message).length > 0;
      if (isMissed) await send(eventId, event.message);
      isBehind ||= eventId === lastEventId;
    }
    return streamId;
  }

  #trim(): void {
    for (const [eventId, { size }] of this.#events) {
      if (this.#events.size <= MAX_EVENTS && this.#size <= MAX_CHARACTERS) return;
      this.#events.delete(eventId);
      this.#size -= size;
    }
  }
}
