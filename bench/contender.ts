/** Something whose round trip is measured: a text goes to a process and comes back. */
export interface Contender extends AsyncDisposable {
  /** Processes beside this one that take part in a round trip. */
  readonly pids: readonly number[];
  /** Sends `text` and answers what came back. At most one call per `slot` runs at a time. */
  roundTrip(text: string, slot: number): Promise<string>;
}

/** A way to a {@link Contender}. */
export interface ContenderEntry {
  readonly name: string;
  /** Starts its processes, for that many slots. */
  start(slots: number): Promise<Contender>;
  /** What has to be installed before it can start, or undefined when nothing is missing. */
  missing?(): Promise<string | undefined>;
}
