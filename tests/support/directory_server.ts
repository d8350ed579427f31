import { createHash } from "node:crypto";
import { CodedError } from "../../core/errors.ts";
import { createLogger } from "../../core/log.ts";
import { RecordQueryType as NetworkField } from "../../gen/agntcy/dir/routing/v1/record_query_pb.ts";
import { RoutingService } from "../../gen/agntcy/dir/routing/v1/routing_service_pb.ts";
import { type RecordQuery, RecordQueryType } from "../../gen/agntcy/dir/search/v1/record_query_pb.ts";
import { SearchService } from "../../gen/agntcy/dir/search/v1/search_service_pb.ts";
import { StoreService } from "../../gen/agntcy/dir/store/v1/store_service_pb.ts";
import { createRpcService, type RpcContext } from "../../rpc/rpc_service.ts";
import { startGrpcServer } from "../../rpc/server.ts";
import type { JsonObject } from "../../sdk/mod.ts";
import type { TlsIdentity } from "../../rpc/listener.ts";

/** A directory of AGNTCY in memory, with its services of gRPC. */
export interface DirectoryServer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly records: Map<string, JsonObject>;
  /** CIDs that the network is told of. */
  readonly published: Set<string>;
  /** Who has each record that only the network knows. */
  readonly elsewhere: Map<string, JsonObject>;
  /** The calls and their headers, in order. */
  readonly calls: { readonly name: string; readonly headers: ReadonlyMap<string, string> }[];
  /** Asked before each call; may throw, or wait. */
  before: (name: string, context: RpcContext) => void | Promise<void>;
}

/** What a record is called here: not a real CID, but as unlike another's. */
export function cidOf(record: JsonObject): string {
  return `baeare${createHash("sha256").update(JSON.stringify(record)).digest("hex")}`;
}

const classes = (record: JsonObject, of: string) =>
  (Array.isArray(record[of]) ? record[of] : []) as { name?: string; id?: number; type?: string }[];

/** What a record says of each field that is looked for. */
function said(record: JsonObject, type: RecordQueryType): string[] {
  if (type === RecordQueryType.NAME) return [String(record.name)];
  if (type === RecordQueryType.VERSION) return [String(record.version)];
  if (type === RecordQueryType.AUTHOR) return (record.authors ?? []) as string[];
  if (type === RecordQueryType.SKILL_NAME) return classes(record, "skills").map(({ name }) => `${name}`);
  if (type === RecordQueryType.SKILL_ID) return classes(record, "skills").map(({ id }) => `${id}`);
  if (type === RecordQueryType.MODULE_NAME) return classes(record, "modules").map(({ name }) => `${name}`);
  throw new CodedError("invalid_argument", `no such field: ${type}`);
}

function matches(record: JsonObject, { type, value }: RecordQuery): boolean {
  const pattern = value.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return said(record, type).some((text) => new RegExp(`^${pattern}$`).test(text));
}

/** Starts an empty one. */
export async function startDirectoryServer(options: { tls?: TlsIdentity } = {}): Promise<DirectoryServer> {
  const state: Omit<DirectoryServer, "address" | typeof Symbol.asyncDispose> = {
    records: new Map(),
    published: new Set(),
    elsewhere: new Map(),
    calls: [],
    before: () => {},
  };
  const begin = async (name: string, context: RpcContext) => {
    state.calls.push({ name, headers: context.metadata });
    await state.before(name, context);
  };
  const services = [storeOf(state, begin), searchOf(state, begin), routingOf(state, begin)];
  const server = await startGrpcServer({ services, logger: createLogger({ write: () => {} }) }, {
    listen: "127.0.0.1:0",
    ...options,
  });
  return Object.assign(state, {
    address: server.address.replace(/^\w+:\/\//, ""),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  });
}

type State = Pick<DirectoryServer, "records" | "published" | "elsewhere">;
type Begin = (name: string, context: RpcContext) => Promise<void>;

function storeOf({ records, published }: State, begin: Begin) {
  return createRpcService(StoreService, {
    async *push(requests, context) {
      await begin("Push", context);
      for await (const { data = {} } of requests) {
        if (typeof data.name !== "string") throw new CodedError("invalid_argument", "a record needs a name");
        const cid = cidOf(data);
        records.set(cid, data);
        yield { cid };
      }
    },
    async *pull(requests, context) {
      await begin("Pull", context);
      for await (const { cid } of requests) {
        const data = records.get(cid);
        if (data === undefined) throw new CodedError("not_found", `no record ${cid}`);
        yield { data };
      }
    },
    async delete(requests, context) {
      await begin("Delete", context);
      for await (const { cid } of requests) {
        records.delete(cid);
        published.delete(cid);
      }
      return {};
    },
  });
}

function searchOf({ records }: State, begin: Begin) {
  return createRpcService(SearchService, {
    async *searchCIDs({ queries, limit }, context) {
      await begin("SearchCIDs", context);
      const found = [...records].filter(([, record]) => queries.every((query) => matches(record, query)));
      for (const [recordCid] of found.slice(0, limit)) yield { recordCid };
    },
  });
}

function routingOf({ records, published, elsewhere }: State, begin: Begin) {
  return createRpcService(RoutingService, {
    async publish({ request }, context) {
      await begin("Publish", context);
      for (const { cid } of request.value?.refs ?? []) {
        if (!records.has(cid)) throw new CodedError("not_found", `no record ${cid}`);
        published.add(cid);
      }
      return {};
    },
    async unpublish({ request }, context) {
      await begin("Unpublish", context);
      for (const { cid } of request.value?.refs ?? []) published.delete(cid);
      return {};
    },
    async *search({ queries, minMatchScore = 1 }, context) {
      await begin("Search", context);
      const here = [...records].filter(([cid]) => published.has(cid));
      for (const [cid, record] of [...here, ...elsewhere]) {
        const score = queries.filter(({ type, value }) =>
          type === NetworkField.SKILL && classes(record, "skills").some(({ name }) =>
            name === value
          )
        ).length;
        if (score < minMatchScore) continue;
        const peer = { id: elsewhere.has(cid) ? "there" : "here", addrs: ["/ip4/127.0.0.1/tcp/1"] };
        yield { recordRef: { cid }, peer, matchScore: score };
      }
    },
  });
}
