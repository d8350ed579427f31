/** Remembers the last `capacity` values added; the oldest are forgotten first. */
export class RecentSet {
  readonly #values = new Set<string>();

  constructor(readonly capacity: number) {}

  has(value: string): boolean {
    return this.#values.has(value);
  }

  add(value: string): void {
    this.#values.delete(value);
    this.#values.add(value);
    const [oldest] = this.#values;
    if (this.#values.size > this.capacity && oldest !== undefined) this.#values.delete(oldest);
  }
}
