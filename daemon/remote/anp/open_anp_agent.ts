import { CodedError } from "../../../core/errors.ts";
import { isJsonObject, type JsonObject } from "../../../core/json.ts";
import type { SafeFetch } from "../../../http/mod.ts";
import type { FoundCard } from "../card_lookup.ts";
import type { CallOptions, RemoteAgent } from "../remote_agent.ts";
import { AnpAgent, type AnpAgentDeps } from "./anp_agent.ts";
import { parseMethods } from "./rpc_method.ts";

const MAX_INTERFACE_BYTES = 4 * 1024 * 1024;

/**
 * The agent that an Agent Description describes, by its first OpenRPC interface.
 * @throws CodedError `unimplemented` when it has none, `data_loss` when that cannot be read, and what fetching throws.
 */
export async function openAnpAgent(
  { url, json }: FoundCard,
  deps: AnpAgentDeps,
  options: { answerTimeoutMs: number } & CallOptions,
): Promise<RemoteAgent> {
  const interfaces = Array.isArray(json.interfaces) ? json.interfaces.filter(isJsonObject) : [];
  const face = interfaces.find(({ protocol }) => String(protocol).toLowerCase() === "openrpc");
  if (face === undefined) {
    const offered = interfaces.map(({ protocol }) => String(protocol)).join(", ") || "no interface";
    throw new CodedError(
      "unimplemented",
      `The agent at ${url.origin} offers ${offered}: this node speaks OpenRPC`,
    );
  }
  const { at, document } = await openRpcOf(face, { base: url, safeFetch: deps.safeFetch }, options);
  return new AnpAgent({ rpcUrl: rpcUrlOf(document, at), methods: parseMethods(document) }, deps, options);
}

async function openRpcOf(
  { url, content }: JsonObject,
  { base, safeFetch }: { base: URL; safeFetch: SafeFetch },
  { signal }: CallOptions,
): Promise<{ at: URL; document: JsonObject }> {
  if (isJsonObject(content)) return { at: base, document: content };
  const at = typeof url === "string" ? URL.parse(url, base) : null;
  if (at === null) throw new CodedError("data_loss", "The agent description names no OpenRPC document");
  const response = await safeFetch(at, {
    signal,
    maxBytes: MAX_INTERFACE_BYTES,
    headers: { accept: "application/json" },
  });
  const text = await response.text();
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new CodedError("data_loss", `The OpenRPC document at ${at.href} is not JSON`, { cause });
  }
  if (!response.ok || !isJsonObject(document)) {
    throw new CodedError("data_loss", `There is no OpenRPC document at ${at.href} (${response.status})`);
  }
  return { at, document };
}

/** Where it is called: the first server that the document names, else `rpc` beside it, as the existing network has it. */
function rpcUrlOf({ servers }: JsonObject, at: URL): URL {
  const [server] = Array.isArray(servers) ? servers.filter(isJsonObject) : [];
  const named = typeof server?.url === "string" ? URL.parse(server.url, at) : null;
  const falls = named !== null && at.protocol === "https:" && named.protocol !== "https:";
  return named !== null && !falls ? named : new URL("rpc", at);
}
