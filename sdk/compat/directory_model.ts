import type { AgentAnycastError } from "../errors.ts";
import type { JsonObject } from "../model.ts";
import type { CatalogEntry } from "./ai_catalog.ts";
import type { CompatCard } from "./card_v1.ts";

/**
 * Which interface a directory has: `v1` is the REST one of the Agent Directory of AGNTCY, `grpc` its services, `legacy` the REST
 * one that the older SDKs of the network expect.
 */
export type DirectoryDialect = "v1" | "legacy" | "grpc";

/** Texts in PEM for a connection over TLS. */
export interface DirectoryTls {
  /** Certificates that the directory is trusted by. Default: those of the system. */
  readonly ca?: string;
  /** The name that the directory has to have a certificate for. Default: the host of its URL. */
  readonly servername?: string;
  /** Certificate by which the directory knows the caller, with its `key`. */
  readonly cert?: string;
  /** Private key of `cert`. */
  readonly key?: string;
}

/** How a directory is asked. */
export interface AgntcyDirectoryOptions {
  /** Default `grpc` for a URL that begins with `grpc:` or `grpcs:`, else `v1`. */
  readonly dialect?: DirectoryDialect;
  /**
   * Sent as bearer token; a function is asked before each call. It only goes over TLS, or to the same machine: the constructor
   * throws `TypeError` otherwise.
   */
  readonly token?: string | (() => string | Promise<string>);
  /** Sent with each request; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How a directory at `grpcs:` is spoken to. */
  readonly tls?: DirectoryTls;
  /** For REST. Default: the global one. Give one of your own to go through a proxy or to guard where it leads. */
  readonly fetch?: typeof fetch;
  /** How long one answer may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Longest answer that is read, in bytes. Default 4 MiB. */
  readonly maxBytes?: number;
}

/** A directory of the network of directories. */
export interface DirectoryPeer {
  /** Who it is. */
  readonly id: string;
  /** Multiaddrs. */
  readonly addresses: readonly string[];
}

/** An agent as a directory has it. */
export interface DirectoryAgent {
  /** What the directory calls it: the CID of its record, where one is told. */
  readonly id: string;
  /** Its name; its id when the directory does not give its record. */
  readonly name: string;
  /** Its card, when the directory gives it. */
  readonly card?: CompatCard;
  /** Its entry, in the dialect `v1`. */
  readonly entry?: CatalogEntry;
  /** Its record, in the dialect `grpc`. */
  readonly record?: JsonObject;
  /** Which directory has it, of those found on the network. */
  readonly peer?: DirectoryPeer;
  /** Why there is no card: it could not be read, or its record not be had. */
  readonly cardFault?: AgentAnycastError;
}

/** Where a record says what is looked for. The network of directories knows `skill`, `domain`, `module` and `locator`. */
export type DirectoryField =
  | "name"
  | "version"
  | "author"
  | "created_at"
  | "schema_version"
  | "skill"
  | "skill_id"
  | "domain"
  | "domain_id"
  | "module"
  | "module_id"
  | "locator"
  | "verified";

/** What a record has to say. */
export interface DirectoryCondition {
  /** Where. */
  readonly field: DirectoryField;
  /** What. The directory itself also takes `*`, `?` and `[a-z]` in texts. */
  readonly value: string;
}

/** What is asked of a list. */
export interface DirectoryQuery {
  /** Words to look for in the dialect `legacy`, a name in `v1`, a part of a name (where `*` and `?` stand for others) in `grpc`. */
  readonly text?: string;
  /** Such as `type=application/a2a-agent-card+json AND publisherId=did:web:example.com`; only in the dialect `v1`. */
  readonly filter?: string;
  /** Such as `updated_at DESC`; only in the dialect `v1`. */
  readonly orderBy?: string;
  /** Only in the dialect `grpc`. On the network a record has to meet all of them. */
  readonly where?: readonly DirectoryCondition[];
  /** Looks on the network of directories instead of in this one; needs `where`. Only in the dialect `grpc`. Default false. */
  readonly network?: boolean;
  /** Most agents to answer. Default 100. */
  readonly limit?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

/** A directory in one of its dialects. Everything throws `AgentAnycastError`. */
export interface DirectoryWire extends Disposable {
  list(query: DirectoryQuery, limit: number): AsyncGenerator<DirectoryAgent, void, void>;
  get(id: string, signal?: AbortSignal): Promise<DirectoryAgent | undefined>;
  record(cid: string, signal?: AbortSignal): Promise<JsonObject | undefined>;
  /** What changes a directory; undefined where it can only be read. */
  readonly write?: DirectoryWriter;
}

/** What changes a directory. */
export interface DirectoryWriter {
  push(record: JsonObject, signal?: AbortSignal): Promise<string>;
  announce(cid: string, signal?: AbortSignal): Promise<void>;
  withdraw(cid: string, signal?: AbortSignal): Promise<void>;
  remove(cid: string, signal?: AbortSignal): Promise<void>;
}

/** How a wire is set up, checked. */
export type DirectorySetup =
  & Required<Pick<AgntcyDirectoryOptions, "dialect" | "fetch" | "tls" | "timeoutMs" | "maxBytes">>
  & {
    readonly url: URL;
    /** What goes with each request. */
    readonly headers: () => Promise<Readonly<Record<string, string>>>;
  };
