import type { Clock } from "../../core/clock.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { FederatedRegistration } from "../../gen/agentanycast/v1/federation_pb.ts";
import { type KvStore, registrationPrefix } from "../../kv/mod.ts";
import { decodeWireEntry } from "../registry/entry_codec.ts";
import type { Merge } from "./merge.ts";

/** What reading a shared store works with. */
export interface SharedStoreDeps {
  readonly kv: KvStore;
  readonly relayId: string;
  readonly merge: Merge;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Takes over what other relays keep in the same store, again and again until it is disposed. */
export class SharedStore implements AsyncDisposable {
  readonly #deps: SharedStoreDeps;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #isFailing = false;

  constructor(deps: SharedStoreDeps, { everyMs }: { everyMs: number }) {
    this.#deps = deps;
    this.#running = this.#run(everyMs);
  }

  async #run(everyMs: number): Promise<void> {
    const { clock, logger } = this.#deps;
    while (!this.#stop.signal.aborted) {
      try {
        await this.read();
        this.#isFailing = false;
      } catch (error) {
        if (!this.#isFailing) {
          logger.warn("The shared store cannot be read, will try again", { reason: errorMessage(error) });
        }
        this.#isFailing = true;
      }
      try {
        await clock.sleep(everyMs, this.#stop.signal);
      } catch {
        return; // Only the signal ends the pause early.
      }
    }
  }

  /** Reads all of it once. Throws as the store. */
  async read(): Promise<void> {
    const { kv, relayId, merge } = this.#deps;
    for await (const { key, value } of kv.list(registrationPrefix())) {
      if (this.#stop.signal.aborted) return;
      const origin = String(key[1]);
      if (origin === relayId) continue;
      const wire = this.#decode(value, origin);
      if (wire === undefined) continue;
      await merge.accept({ ...wire, path: [origin], originRelayId: origin }, {
        relayId: origin,
        trusted: true,
      });
    }
  }

  /** Undefined for what cannot be read: it keeps nobody from what is behind it. */
  #decode(value: Uint8Array, origin: string): FederatedRegistration | undefined {
    try {
      return decodeWireEntry(value);
    } catch (error) {
      this.#deps.logger.debug("Skipped a shared registration that cannot be read", { origin, error });
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new CodedError("cancelled", "The relay is stopping"));
    await this.#running;
  }
}
