import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "../../core/log.ts";
import { RemoteTaskRecordSchema } from "../../gen/agentanycast/store/v1/records_pb.ts";
import { type KvStore, remoteTaskKey, remoteTaskPrefix } from "../../kv/mod.ts";

/** What is known of a task that was given to an agent behind a URL. */
export interface RemoteTaskRecord {
  readonly url: string;
  /** Its id at the agent; empty until the agent has told it. */
  readonly remoteTaskId: string;
  readonly contextId: string;
  /** The messages that the agent has taken, the last ones. */
  readonly messageIds: readonly string[];
  /** The message that is being sent; while it is set, nobody knows whether the agent has it. Empty for none. */
  readonly sendingMessageId: string;
}

export interface RemoteTasksDeps {
  readonly kv: KvStore;
  readonly logger: Logger;
}

/** Tasks given to agents behind URLs, kept in the store: a daemon that starts again goes on with them. */
export class RemoteTasks {
  readonly #deps: RemoteTasksDeps;

  constructor(deps: RemoteTasksDeps) {
    this.#deps = deps;
  }

  async get(taskId: string): Promise<RemoteTaskRecord | undefined> {
    const entry = await this.#deps.kv.get(remoteTaskKey(taskId));
    return entry && fromBinary(RemoteTaskRecordSchema, entry.value);
  }

  /** All of them; one that cannot be read is logged and left out. */
  async *all(): AsyncIterable<{ taskId: string; record: RemoteTaskRecord }> {
    const { kv, logger } = this.#deps;
    const onDamaged = (_key: unknown, error: unknown) => {
      logger.error("What is known of a task at a URL cannot be read; it is left out", { error });
    };
    for await (const { key, value } of kv.list(remoteTaskPrefix, { onDamaged })) {
      try {
        yield { taskId: String(key.at(-1)), record: fromBinary(RemoteTaskRecordSchema, value) };
      } catch (error) {
        onDamaged(key, error);
      }
    }
  }

  /** Writes it; once it resolves, it is on disk. */
  async put(taskId: string, record: RemoteTaskRecord): Promise<void> {
    const message = create(RemoteTaskRecordSchema, { ...record, messageIds: [...record.messageIds] });
    const value = toBinary(RemoteTaskRecordSchema, message);
    await this.#deps.kv.commit([{ op: "set", key: remoteTaskKey(taskId), value }]);
  }

  async remove(taskId: string): Promise<void> {
    await this.#deps.kv.commit([{ op: "delete", key: remoteTaskKey(taskId) }]);
  }
}
