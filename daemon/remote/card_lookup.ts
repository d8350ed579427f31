import { CodedError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject } from "../../core/json.ts";
import type { SafeFetch } from "../../http/mod.ts";
import type { CallOptions } from "./remote_agent.ts";

/** Where agents show what they are: A2A of today, A2A before 0.3, the existing network, ANP. */
const WELL_KNOWN = [
  ".well-known/agent-card.json",
  ".well-known/agent.json",
  ".well-known/a2a-agent-card",
  "agent/ad.json",
] as const;

const MAX_CARD_BYTES = 1024 * 1024;
const CARD_TIMEOUT_MS = 15_000;

/** A description of an agent, as it was found. */
export interface FoundCard {
  readonly url: URL;
  readonly json: JsonObject;
}

/**
 * The card of the agent at `url`: the document itself when the URL names one, else what is at the usual places below it,
 * else at those of its host when it names `url` as an interface of its. Undefined when there is none.
 * @throws CodedError `unavailable`, `deadline_exceeded`, `permission_denied`, `unauthenticated`.
 */
export async function findCard(
  url: URL,
  { safeFetch }: { safeFetch: SafeFetch },
  options: CallOptions,
): Promise<FoundCard | undefined> {
  const fetchCard = (at: URL) => fetchJson(at, safeFetch, options);
  if (/\.json$|\/\.well-known\//.test(url.pathname)) return await fetchCard(url);
  const folder = new URL(url.pathname.endsWith("/") ? url.pathname : `${url.pathname}/`, url.origin);
  for (const path of WELL_KNOWN) {
    const found = await fetchCard(new URL(path, folder));
    if (found !== undefined) return found;
  }
  if (folder.pathname === "/") return undefined;
  for (const path of WELL_KNOWN) {
    const found = await fetchCard(new URL(path, url.origin));
    // Another agent may live at the root of the host.
    if (found !== undefined && names(found, url)) return found;
  }
  return undefined;
}

function names({ url: cardUrl, json }: FoundCard, url: URL): boolean {
  const lists = [json.supportedInterfaces, json.additionalInterfaces].flatMap((one) =>
    Array.isArray(one) ? one : []
  );
  const urls = [json.url, ...lists.flatMap((one) => isJsonObject(one) ? [one.url] : [])];
  const wanted = url.href.replace(/\/$/, "");
  return urls.some((one) =>
    typeof one === "string" && URL.parse(one, cardUrl)?.href.replace(/\/$/, "") === wanted
  );
}

/** The JSON object at `url`; undefined when there is something else or nothing. */
async function fetchJson(
  url: URL,
  safeFetch: SafeFetch,
  { signal }: CallOptions,
): Promise<FoundCard | undefined> {
  const response = await safeFetch(url, {
    // Some servers show the card of the version that is asked for.
    headers: { accept: "application/json, application/ld+json", "a2a-version": "1.0" },
    signal,
    maxBytes: MAX_CARD_BYTES,
    timeoutMs: CARD_TIMEOUT_MS,
  });
  if (!response.ok) {
    await response.body?.cancel();
    checkStatus(url, response.status);
    return undefined;
  }
  const text = await response.text();
  try {
    const json: unknown = JSON.parse(text);
    return isJsonObject(json) ? { url: new URL(response.url), json } : undefined;
  } catch {
    return undefined; // A page for people, as many servers give for any path.
  }
}

function checkStatus({ origin }: URL, status: number): void {
  if (status === 401 || status === 403) {
    throw new CodedError(
      "unauthenticated",
      `${origin} shows its agent card only to those it knows (${status}): check the credentials file of this node`,
    );
  }
  if (status === 429 || status >= 500) {
    throw new CodedError("unavailable", `${origin} did not show its agent card (${status})`, {
      details: { sent: "no" },
    });
  }
}

/** Whether a document is an Agent Description of ANP, in the shape of ANP-07 or of the existing network. */
export function isAgentDescription({ type, ...json }: JsonObject): boolean {
  return type === "AgentDescription" || /(^|:)AgentDescription$/.test(String(json["@type"] ?? ""));
}
