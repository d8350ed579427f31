/** What was said in conversations, for frameworks that do not remember: the ones used last, in memory. */
export class SessionMemory<T> {
  readonly #maxSessions: number;
  readonly #sessions = new Map<string, T>();

  constructor({ maxSessions = 1_000 } = {}) {
    this.#maxSessions = maxSessions;
  }

  /** What is kept of a conversation. */
  get(sessionId: string): T | undefined {
    return this.#sessions.get(sessionId);
  }

  /** Keeps it; the conversation that was used longest ago is forgotten when there are too many. */
  set(sessionId: string, value: T): void {
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, value);
    const [oldest] = this.#sessions.keys();
    if (oldest !== undefined && this.#sessions.size > this.#maxSessions) this.#sessions.delete(oldest);
  }
}
