import type { Entry } from "./entry.ts";
import type { Withdrawal } from "./withdrawals.ts";

/** What a registry finds when it starts. */
export interface Stored {
  readonly entries: readonly Entry[];
  readonly withdrawals: readonly Withdrawal[];
}

/** Where registrations outlive the relay. What is saved is on disk when it resolves. */
export interface RegistryStore {
  load(): Promise<Stored>;
  /** Saves what a peer has registered, in place of what it had. */
  save(entry: Entry): Promise<void>;
  /** Saves that a peer is not registered any more. */
  withdraw(withdrawal: Withdrawal): Promise<void>;
  /** Saves that registrations still hold, for those who read the same store. */
  refresh(entries: readonly Entry[]): Promise<void>;
  /** Forgets peers of which nothing is left to know. */
  forget(peerIds: readonly string[]): Promise<void>;
}
