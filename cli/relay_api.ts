import { join } from "node:path";
import { CodedError, errorMessage } from "../core/errors.ts";
import { resolveRelayOptions } from "./relay_settings.ts";
import type { GlobalOptions } from "./verb.ts";

/** Where the usual API of a relay is. */
const USUAL_API = "http://127.0.0.1:8081";
const TIMEOUT_MS = 10_000;
/** Longest answer, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Options of verbs that ask a relay. */
export interface RelayApiOptions {
  readonly api?: string;
}

/**
 * What the REST API of a relay answers at `path`: the one named by `--api`, else the one on the home, else the one of this
 * machine. Throws `unavailable` when none answers, `invalid_argument` for a URL that is none.
 */
export async function askRelay(
  path: string,
  options: GlobalOptions & RelayApiOptions,
  signal: AbortSignal,
): Promise<unknown> {
  const base = options.api ?? await apiOnHome(options) ?? USUAL_API;
  const url = URL.parse(path, base);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CodedError("invalid_argument", `${JSON.stringify(base)} is no URL such as ${USUAL_API}`);
  }
  let text: string;
  let ok: boolean;
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    ok = answer.ok;
    text = await readText(answer);
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new CodedError(
      "unavailable",
      `No relay answers at ${url.origin}: ${
        errorMessage(cause)
      }. Start one with \`agentanycast relay\`, or name its API with --api`,
      { cause },
    );
  }
  return parse(text, ok, url);
}

/** The API of the relay that runs, or ran last, on the home. */
async function apiOnHome(options: GlobalOptions): Promise<string | undefined> {
  const { home } = resolveRelayOptions(options.home === undefined ? {} : { home: options.home }).config;
  try {
    const { api } = JSON.parse(await Deno.readTextFile(join(home, "endpoints.json"))) as { api?: string };
    return api;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function readText(answer: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_BYTES) throw new RangeError(`the answer is longer than ${MAX_BYTES} bytes`);
  }
  return text;
}

function parse(text: string, ok: boolean, url: URL): unknown {
  let value: { detail?: string };
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CodedError("unavailable", `What answers at ${url.origin} is no relay`, { cause });
  }
  if (ok) return value;
  throw new CodedError("failed_precondition", `The relay refused: ${value.detail ?? text.slice(0, 200)}`);
}
