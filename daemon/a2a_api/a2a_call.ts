import type { TraceContext } from "../../a2a/mod.ts";
import type { CallerId } from "../routed_transport.ts";

/** Which agent a call is for: this node's own, another one by its peer id, or whoever offers a skill. */
export type A2aTarget =
  | { readonly kind: "self"; readonly skillId?: string }
  | { readonly kind: "peer"; readonly peerId: string }
  | { readonly kind: "skill"; readonly skillId: string };

/** The bindings of A2A. */
export type A2aBinding = "jsonrpc" | "http_json" | "grpc";

/** The versions of A2A that are spoken. */
export type A2aVersion = "0.3" | "1.0";

/** What an operation knows about its call besides the request. */
export interface A2aCall {
  /** Who calls, such as `http:alice`. */
  readonly caller: CallerId;
  /** Whether the caller has proven who it is. */
  readonly isAuthenticated: boolean;
  readonly target: A2aTarget;
  /** Where the caller reaches this node, such as `https://agents.example`. */
  readonly origin: string;
  readonly binding: A2aBinding;
  readonly version: A2aVersion;
  /** URIs of the extensions that the caller wants to make use of. */
  readonly extensions: readonly string[];
  readonly trace: TraceContext;
  /** The last event of the task that a client that comes back has seen: its generation; undefined for none. */
  readonly lastEventId?: number | undefined;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}
