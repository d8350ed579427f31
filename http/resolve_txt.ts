import { decode, encode, RECURSION_DESIRED } from "@dnsquery/dns-packet";
import { Buffer } from "node:buffer";
import { CodedError } from "../core/errors.ts";
import type { SafeFetch } from "./safe_fetch.ts";

/** The TXT records of a name, each with its strings joined; none when the name or such records are not there. */
export type ResolveTxt = (name: string, options?: { signal?: AbortSignal }) => Promise<readonly string[]>;

/** Most bytes of an answer, as of DNS over TCP. */
const MAX_ANSWER_BYTES = 65_535;
const DNS_MESSAGE = "application/dns-message";

/** {@link ResolveTxt} as the system resolves names. */
export const resolveTxtBySystem: ResolveTxt = async (name, options = {}) => {
  try {
    return (await Deno.resolveDns(name, "TXT", options)).map((strings) => strings.join(""));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
};

/**
 * {@link ResolveTxt} by DNS over HTTPS (RFC 8484) at `url`. The answer is not signed: it is as true as that server.
 * Throws `unavailable` when it does not answer as it should, and what `fetch` throws.
 */
export function createResolveTxtOverHttps(url: string, fetch: SafeFetch): ResolveTxt {
  return async (name, options = {}) => {
    const question = { type: "TXT" as const, name };
    const query = encode({ type: "query", id: 0, flags: RECURSION_DESIRED, questions: [question] });
    const response = await fetch(url, {
      ...options,
      method: "POST",
      headers: { "content-type": DNS_MESSAGE, accept: DNS_MESSAGE },
      body: Uint8Array.from(query),
      maxBytes: MAX_ANSWER_BYTES,
      redirect: "error",
    });
    const body = new Uint8Array(await response.arrayBuffer());
    const type = response.headers.get("content-type")?.split(";")[0]?.trim();
    if (response.status !== 200 || type !== DNS_MESSAGE) {
      throw new CodedError(
        "unavailable",
        `The DNS server at ${new URL(url).origin} answered with status ${response.status} and ${
          type ?? "no type"
        }`,
      );
    }
    return recordsOf(body, { name, url });
  };
}

function recordsOf(body: Uint8Array, { name, url }: { name: string; url: string }): string[] {
  const { rcode, answers = [] } = decodeAnswer(body, url);
  if (rcode === "NXDOMAIN") return [];
  if (rcode !== "NOERROR") {
    throw new CodedError(
      "unavailable",
      `The DNS server at ${new URL(url).origin} answered ${rcode} for ${name}`,
    );
  }
  // A name may be another one's alias: what counts is that the server answers with it.
  return answers.flatMap((answer) => answer.type === "TXT" ? joined(answer.data) : []);
}

function decodeAnswer(
  body: Uint8Array,
  url: string,
): { rcode: string; answers?: ReturnType<typeof decode>["answers"] } {
  try {
    return decode(body) as ReturnType<typeof decode> & { rcode: string };
  } catch (cause) {
    throw new CodedError(
      "unavailable",
      `The DNS server at ${new URL(url).origin} answered with no DNS message`,
      {
        cause,
      },
    );
  }
}

function joined(data: string | Uint8Array | readonly (string | Uint8Array)[]): string {
  const strings = Array.isArray(data) ? data : [data];
  return strings.map((one) => typeof one === "string" ? one : Buffer.from(one).toString()).join("");
}
