/** Something whose round trip is measured: a text goes to a process and comes back. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Sends `text` and answers what came back. At most one call per `slot` runs at a time. */
  roundTrip(text: string, slot: number): Promise<string>;
}
