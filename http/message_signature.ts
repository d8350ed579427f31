import { CodedError } from "../core/errors.ts";
import { contentDigest } from "./content_digest.ts";

/** A request as far as a signature may cover it. */
export interface SignableRequest {
  readonly method: string;
  /** As its receiver is known to the sender. */
  readonly url: URL;
  readonly headers: Headers;
}

export interface RequestSigner {
  /** Names the key to whoever verifies. */
  readonly keyId: string;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

/** A signature of a request, read but not verified. */
export interface RequestSignature {
  readonly keyId: string;
  /** In seconds since the Unix epoch. */
  readonly created: number;
  readonly expires: number | undefined;
  readonly nonce: string | undefined;
  /** What it covers, such as `@method` and `content-digest`. */
  readonly components: readonly string[];
  /** The bytes that were signed. */
  readonly base: Uint8Array;
  readonly signature: Uint8Array;
}

const LABEL = "sig1";
/** How long a signature is good for, in seconds. */
const LIFETIME_S = 60;
const MAX_HEADER_LENGTH = 4_096;
const MAX_COMPONENTS = 32;

/** One member of `Signature-Input`: its label, its components and its parameters (RFC 9421, section 4.1). */
const MEMBER =
  /^\s*([a-z*][a-z0-9_.*-]*)=(\(((?:\s*"[^"\\]*"(?:;[a-z]+(?:="[^"\\]*")?)*)*)\s*\)((?:;[a-z]+=(?:"(?:[^"\\]|\\.)*"|-?\d+))*))\s*$/;

/**
 * The headers that sign a request by RFC 9421: method, target, authority and, when there is a body, its digest.
 * @param options.nowMs milliseconds since the Unix epoch. Default now.
 */
export function signRequest(
  request: { method: string; url: URL; body?: Uint8Array | undefined },
  { keyId, sign }: RequestSigner,
  options: { nonce?: string; nowMs?: number } = {},
): Record<string, string> {
  const { method, url, body } = request;
  const headers = new Headers(body === undefined ? [] : [["content-digest", contentDigest(body)]]);
  const created = Math.floor((options.nowMs ?? Date.now()) / 1000);
  const components = ["@method", "@target-uri", "@authority", ...headers.keys()];
  const nonce = options.nonce ?? crypto.randomUUID();
  const parameters = `(${components.map((one) => `"${one}"`).join(" ")})` +
    `;created=${created};expires=${created + LIFETIME_S};nonce="${nonce}";keyid="${keyId}"`;
  const signature = sign(signatureBase({ method, url, headers }, components, parameters));
  return {
    ...Object.fromEntries(headers),
    "signature-input": `${LABEL}=${parameters}`,
    "signature": `${LABEL}=:${toBase64(signature)}:`,
  };
}

/**
 * The signature that `request` carries; undefined when there is none.
 * @throws CodedError `invalid_argument` when it cannot be read or covers what the request has not.
 */
export function readSignature(request: SignableRequest): RequestSignature | undefined {
  const input = request.headers.get("signature-input");
  const value = request.headers.get("signature");
  if (input === null && value === null) return undefined;
  const isShort = (input?.length ?? 0) <= MAX_HEADER_LENGTH && (value?.length ?? 0) <= MAX_HEADER_LENGTH;
  const [, label, raw = "", inner = "", tail = ""] = (isShort && MEMBER.exec(input ?? "")) || [];
  const signature = new RegExp(`(?:^|,)\\s*${escaped(label ?? "")}=:([A-Za-z0-9+/]+=*):`).exec(value ?? "")
    ?.[1];
  if (label === undefined || signature === undefined) {
    throw malformed("Signature-Input and Signature do not belong together, or are more than one signature");
  }
  const components = [...inner.matchAll(/"([^"]*)"((?:;[a-z]+(?:="[^"]*")?)*)/g)].map(
    ([, name = "", extra = ""]) => {
      if (extra !== "") throw malformed(`the parameter ${extra} of a component is not supported`);
      return name;
    },
  );
  if (new Set(components).size !== components.length || components.length > MAX_COMPONENTS) {
    throw malformed("a component is given twice, or there are too many");
  }
  const parameters = parseParameters(tail);
  const [created, expires] = [Number(parameters.get("created")), parameters.get("expires")];
  const keyId = parameters.get("keyid");
  if (keyId === undefined || !Number.isSafeInteger(created)) throw malformed("it needs keyid and created");
  return {
    ...{ keyId, created, components },
    expires: expires === undefined ? undefined : Number(expires),
    nonce: parameters.get("nonce"),
    base: signatureBase(request, components, raw),
    signature: fromBase64(signature),
  };
}

function parseParameters(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/;([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|(-?\d+))/g)].map(([, name = "", quoted, number]) => [
      name,
      quoted === undefined ? number ?? "" : quoted.replaceAll(/\\(.)/g, "$1"),
    ]),
  );
}

/** RFC 9421, section 2.5. */
function signatureBase(
  request: SignableRequest,
  components: readonly string[],
  parameters: string,
): Uint8Array {
  const lines = components.map((name) => `"${name}": ${valueOf(request, name)}`);
  return new TextEncoder().encode([...lines, `"@signature-params": ${parameters}`].join("\n"));
}

function valueOf({ method, url, headers }: SignableRequest, name: string): string {
  switch (name) {
    case "@method":
      return method.toUpperCase();
    case "@target-uri":
      return url.href;
    case "@authority":
      return url.host.toLowerCase();
    case "@scheme":
      return url.protocol.slice(0, -1);
    case "@request-target":
      return `${url.pathname}${url.search}`;
    case "@path":
      return url.pathname;
    case "@query":
      return url.search || "?";
    default: {
      const value = name.startsWith("@") ? null : headers.get(name);
      if (value === null || name !== name.toLowerCase()) {
        throw malformed(`it covers ${name}, which is not there`);
      }
      return value.trim();
    }
  }
}

function escaped(label: string): string {
  return label.replaceAll(/[.*]/g, "\\$&");
}

function malformed(what: string): CodedError {
  return new CodedError("invalid_argument", `The signature of the request cannot be used: ${what}`);
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw malformed("it is not base64");
  }
}
