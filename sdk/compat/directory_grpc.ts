import type {
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { CodedError, type ErrorCode, errorMessage } from "../../core/errors.ts";
import type { Peer } from "../../gen/agntcy/dir/routing/v1/peer_pb.ts";
import { RecordQueryType as NetworkField } from "../../gen/agntcy/dir/routing/v1/record_query_pb.ts";
import { RoutingService } from "../../gen/agntcy/dir/routing/v1/routing_service_pb.ts";
import { RecordQueryType } from "../../gen/agntcy/dir/search/v1/record_query_pb.ts";
import { SearchService } from "../../gen/agntcy/dir/search/v1/search_service_pb.ts";
import { StoreService } from "../../gen/agntcy/dir/store/v1/store_service_pb.ts";
import { createRpcClient, type RpcCallOptions, type RpcClient } from "../../rpc/rpc_client.ts";
import { AgentAnycastError } from "../errors.ts";
import type { JsonObject } from "../model.ts";
import type {
  DirectoryAgent,
  DirectoryCondition,
  DirectoryField,
  DirectoryPeer,
  DirectoryQuery,
  DirectorySetup,
  DirectoryWire,
  DirectoryWriter,
} from "./directory_model.ts";
import { textOrNothing } from "./json.ts";
import { fromOasfRecord } from "./oasf.ts";

const { searchCIDs } = SearchService.method;
const { push, pull, delete: remove } = StoreService.method;
const { publish, unpublish, search } = RoutingService.method;

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "grpc:": 8888, "grpcs:": 443 };
/** Records asked for in one call: each may be as long as an answer. */
const PULLED_AT_ONCE = 8;
/** What says that the directory cannot be asked at all, and not that one record is not to be had. */
const OF_THE_DIRECTORY: readonly ErrorCode[] = [
  ...["cancelled", "deadline_exceeded", "unavailable", "unimplemented"] as const,
  ...["unauthenticated", "resource_exhausted"] as const,
];

const FIELDS: Readonly<Record<DirectoryField, RecordQueryType>> = {
  name: RecordQueryType.NAME,
  version: RecordQueryType.VERSION,
  author: RecordQueryType.AUTHOR,
  created_at: RecordQueryType.CREATED_AT,
  schema_version: RecordQueryType.SCHEMA_VERSION,
  skill: RecordQueryType.SKILL_NAME,
  skill_id: RecordQueryType.SKILL_ID,
  domain: RecordQueryType.DOMAIN_NAME,
  domain_id: RecordQueryType.DOMAIN_ID,
  module: RecordQueryType.MODULE_NAME,
  module_id: RecordQueryType.MODULE_ID,
  locator: RecordQueryType.LOCATOR,
  verified: RecordQueryType.VERIFIED,
};
const NETWORK_FIELDS: Partial<Record<DirectoryField, NetworkField>> = {
  skill: NetworkField.SKILL,
  domain: NetworkField.DOMAIN,
  module: NetworkField.MODULE,
  locator: NetworkField.LOCATOR,
};

/** A record that matches, and who has it. */
interface Found {
  readonly cid: string;
  readonly peer?: DirectoryPeer;
}

/** A directory of AGNTCY over its services of gRPC. */
export class DirectoryGrpc implements DirectoryWire {
  readonly #client: RpcClient;
  readonly #setup: DirectorySetup;
  readonly #address: string;

  constructor(setup: DirectorySetup) {
    const { protocol, hostname, port } = setup.url;
    const scheme = protocol === "grpcs:" ? "tls" : "tcp";
    this.#address = `${hostname}:${port || DEFAULT_PORTS[protocol]}`;
    this.#client = createRpcClient(`${scheme}://${this.#address}`, setup.tls);
    this.#setup = setup;
  }

  readonly write: DirectoryWriter = {
    push: async (record, signal) => {
      const refs = await this.#exchange(push, [{ data: record }], signal);
      return asCid(refs[0]?.cid);
    },
    announce: async (cid, signal) => {
      await this.#unary(
        publish,
        { request: { case: "recordRefs", value: { refs: [{ cid: toCid(cid) }] } } },
        signal,
      );
    },
    withdraw: async (cid, signal) => {
      await this.#unary(unpublish, {
        request: { case: "recordRefs", value: { refs: [{ cid: toCid(cid) }] } },
      }, signal);
    },
    remove: async (cid, signal) => {
      await this.#upload(remove, [{ cid: toCid(cid) }], signal);
    },
  };

  async *list(query: DirectoryQuery, limit: number): AsyncGenerator<DirectoryAgent, void, void> {
    const found = await (query.network ? this.#onNetwork(query, limit) : this.#inStore(query, limit));
    for (let at = 0; at < found.length; at += PULLED_AT_ONCE) {
      yield* await this.#agents(found.slice(at, at + PULLED_AT_ONCE), query.signal);
    }
  }

  async get(id: string, signal?: AbortSignal): Promise<DirectoryAgent | undefined> {
    const record = await this.record(id, signal);
    return record === undefined ? undefined : toAgent({ cid: id }, record);
  }

  async record(cid: string, signal?: AbortSignal): Promise<JsonObject | undefined> {
    const [record] = await this.#pull([toCid(cid)], signal);
    if (!(record instanceof AgentAnycastError)) return record;
    if (record.code === "not_found") return undefined;
    throw record;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #inStore({ text, where = [], signal }: DirectoryQuery, limit: number): Promise<Found[]> {
    const named = textOrNothing(text);
    const name = named === undefined || /[*?[]/.test(named) ? named : `*${named}*`;
    const queries = [
      ...name === undefined ? [] : [{ type: RecordQueryType.NAME, value: name }],
      ...where.map(({ field, value }) => ({ type: FIELDS[field], value })),
    ];
    const found = new Map<string, Found>();
    for await (const { recordCid } of this.#stream(searchCIDs, { queries, limit }, signal)) {
      const cid = asCid(recordCid);
      found.set(cid, { cid });
      if (found.size >= limit) break;
    }
    return [...found.values()];
  }

  async #onNetwork({ text, where = [], signal }: DirectoryQuery, limit: number): Promise<Found[]> {
    const queries = where.map(toNetworkQuery);
    if (textOrNothing(text) !== undefined || queries.length === 0) {
      throw new AgentAnycastError(
        "invalid_argument",
        "Cannot look on the network of directories: it finds by skill, domain, module and locator only; give them as `where`",
      );
    }
    const request = { queries, limit, minMatchScore: queries.length };
    const found = new Map<string, Found>();
    for await (const { recordRef, peer } of this.#stream(search, request, signal)) {
      const cid = asCid(recordRef?.cid);
      if (!found.has(cid)) found.set(cid, { cid, ...peer !== undefined && { peer: toPeer(peer) } });
      if (found.size >= limit) break;
    }
    return [...found.values()];
  }

  async #agents(found: readonly Found[], signal: AbortSignal | undefined): Promise<DirectoryAgent[]> {
    const records = await this.#pull(found.map(({ cid }) => cid), signal);
    return found.map((one, at) => {
      const record = records[at];
      if (record instanceof AgentAnycastError) return { ...toPlace(one), name: one.cid, cardFault: record };
      return toAgent(one, record ?? {});
    });
  }

  /** The record of each, or why it is not to be had: the first failure ends a call, so that the rest is asked for anew. */
  async #pull(
    cids: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<(JsonObject | AgentAnycastError)[]> {
    const records: (JsonObject | AgentAnycastError)[] = [];
    while (records.length < cids.length) {
      const asked = cids.slice(records.length).map((cid) => ({ cid }));
      try {
        await this.#exchange(pull, asked, signal, ({ data }) => records.push(data ?? {}));
        if (records.length < cids.length) throw this.#silence();
      } catch (error) {
        if (!(error instanceof AgentAnycastError) || OF_THE_DIRECTORY.includes(error.code)) throw error;
        records.push(error);
      }
    }
    return records;
  }

  #unary<M extends DescMethodUnary>(method: M, request: MessageInitShape<M["input"]>, signal?: AbortSignal) {
    return this.#asked(signal, (options) => this.#client.unary(method, request, options));
  }

  #upload<M extends DescMethodClientStreaming>(
    method: M,
    requests: readonly MessageInitShape<M["input"]>[],
    signal?: AbortSignal,
  ) {
    return this.#asked(signal, (options) => this.#client.upload(method, each(requests), options));
  }

  async *#stream<M extends DescMethodServerStreaming>(
    method: M,
    request: MessageInitShape<M["input"]>,
    signal?: AbortSignal,
  ): AsyncGenerator<MessageShape<M["output"]>> {
    const options = await this.#toOptions(signal);
    try {
      yield* this.#client.stream(method, request, options);
    } catch (error) {
      throw this.#toError(error);
    }
  }

  /** The answers, each told as it comes; no more than there are requests. */
  #exchange<M extends DescMethodBiDiStreaming>(
    method: M,
    requests: readonly MessageInitShape<M["input"]>[],
    signal?: AbortSignal,
    onAnswer?: (answer: MessageShape<M["output"]>) => void,
  ): Promise<MessageShape<M["output"]>[]> {
    return this.#asked(signal, async (options) => {
      const answers: MessageShape<M["output"]>[] = [];
      for await (const answer of this.#client.exchange(method, each(requests), options)) {
        answers.push(answer);
        onAnswer?.(answer);
        if (answers.length === requests.length) break;
      }
      return answers;
    });
  }

  async #asked<T>(
    signal: AbortSignal | undefined,
    call: (options: RpcCallOptions) => Promise<T>,
  ): Promise<T> {
    const options = await this.#toOptions(signal);
    try {
      return await call(options);
    } catch (error) {
      throw this.#toError(error);
    }
  }

  async #toOptions(signal: AbortSignal | undefined): Promise<RpcCallOptions> {
    const { timeoutMs, maxBytes, headers } = this.#setup;
    return { signal, timeoutMs, maxAnswerBytes: maxBytes, headers: await headers() };
  }

  #toError(error: unknown): unknown {
    if (error instanceof AgentAnycastError || !(error instanceof CodedError)) return error;
    const { code, cause } = error;
    const why = code === "unavailable" && cause instanceof Error ? ` (${cause.message})` : "";
    const advice = code === "deadline_exceeded"
      ? "; try again, or raise timeoutMs"
      : code === "resource_exhausted"
      ? "; ask for less, or raise maxBytes"
      : "";
    return new AgentAnycastError(
      code,
      `Cannot ask the directory at ${this.#address}: ${errorMessage(error)}${why}${advice}`,
      { cause: error },
    );
  }

  #silence(): AgentAnycastError {
    return new AgentAnycastError(
      "data_loss",
      `Cannot understand the directory at ${this.#address}: it answered less than it was asked`,
    );
  }
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function toNetworkQuery({ field, value }: DirectoryCondition) {
  const type = NETWORK_FIELDS[field];
  if (type !== undefined) return { type, value };
  throw new AgentAnycastError(
    "invalid_argument",
    `Cannot look for ${field} on the network of directories: it finds by skill, domain, module and locator only`,
  );
}

function toPeer({ id, addrs }: Peer): DirectoryPeer {
  return { id, addresses: addrs };
}

function toPlace({ cid, peer }: Found): Pick<DirectoryAgent, "id" | "peer"> {
  return { id: cid, ...peer !== undefined && { peer } };
}

/** Who publishes a bad record must not make the others unreadable. */
function toAgent(found: Found, record: JsonObject): DirectoryAgent {
  const facts = { ...toPlace(found), name: textOrNothing(record.name) ?? found.cid, record };
  try {
    return { ...facts, card: fromOasfRecord(record).card };
  } catch (error) {
    if (!(error instanceof AgentAnycastError)) throw error;
    return { ...facts, cardFault: error };
  }
}

/** What the caller calls a record. */
function toCid(cid: string): string {
  if (cid !== "") return cid;
  throw new AgentAnycastError("invalid_argument", 'Cannot look up a record: "" is no CID');
}

/** What the directory calls a record. */
function asCid(cid: string | undefined): string {
  if (cid !== undefined && cid !== "") return cid;
  throw new AgentAnycastError(
    "data_loss",
    "Cannot understand the directory: it names a record without a CID",
  );
}
