import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { BridgeCaller } from "../../core/settings/bridge_callers.ts";
import type { ClientCertificate } from "../../http/mod.ts";
import type { DeclaredScheme } from "./agent_cards.ts";

/** What a caller has shown. */
export interface Credentials {
  /** The header of that name; undefined without it. */
  readonly header: (name: string) => string | undefined;
  readonly certificate: ClientCertificate | undefined;
}

/** Knows callers by what they show. */
export interface Authenticator {
  /** Whether callers have to prove who they are. */
  readonly isRequired: boolean;
  /** How they can, for cards. */
  readonly schemes: readonly DeclaredScheme[];
  /** For the `WWW-Authenticate` header. */
  readonly challenge: string;
  /** The caller's name; undefined for one that is not known. */
  identify(credentials: Credentials): string | undefined;
}

/** Who calls where nobody has to say who he is. */
const ANONYMOUS = "anonymous";

/** An authenticator for `callers`; without any, everybody is {@link ANONYMOUS}. */
export function createAuthenticator(callers: readonly BridgeCaller[]): Authenticator {
  const names = new Map(callers.map(({ name, credential }) => [keyOf(credential), name]));
  const kinds = new Set(callers.map(({ credential }) => credential.kind));
  const isRequired = callers.length > 0;
  return {
    isRequired,
    schemes: SCHEMES.filter(({ kind }) => kinds.has(kind)).map(({ scheme }) => scheme),
    challenge: kinds.has("basic")
      ? 'Basic realm="agentanycast", charset="UTF-8"'
      : 'Bearer realm="agentanycast"',
    identify: (credentials) =>
      isRequired ? shownBy(credentials).map((key) => names.get(key)).find(Boolean) : ANONYMOUS,
  };
}

/** What may stand for a caller, each so that its secret is compared by its hash. */
function shownBy({ header, certificate }: Credentials): string[] {
  const [, scheme = "", value = ""] = /^(\S+) +(.+)$/.exec(header("authorization") ?? "") ?? [];
  const apiKey = header("x-api-key");
  const shown: BridgeCaller["credential"][] = [];
  if (scheme.toLowerCase() === "bearer") shown.push({ kind: "bearer", token: value.trim() });
  if (scheme.toLowerCase() === "basic") {
    const [user = "", ...password] = Buffer.from(value, "base64").toString().split(":");
    shown.push({ kind: "basic", user, password: password.join(":") });
  }
  if (apiKey !== undefined) shown.push({ kind: "api_key", key: apiKey });
  if (certificate !== undefined) {
    shown.push({ kind: "certificate", certificate: certificate.fingerprint });
    if (certificate.commonName !== "") {
      shown.push({ kind: "certificate", certificate: certificate.commonName });
    }
  }
  return shown.map(keyOf);
}

function keyOf(credential: BridgeCaller["credential"]): string {
  return createHash("sha256").update(JSON.stringify(partsOf(credential))).digest("base64");
}

function partsOf(credential: BridgeCaller["credential"]): readonly string[] {
  switch (credential.kind) {
    case "bearer":
      return ["bearer", credential.token];
    case "api_key":
      return ["api_key", credential.key];
    case "basic":
      return ["basic", credential.user, credential.password];
    case "certificate": {
      const fingerprint = credential.certificate.replaceAll(":", "").toLowerCase();
      return ["certificate", /^[0-9a-f]{64}$/.test(fingerprint) ? fingerprint : credential.certificate];
    }
    default:
      return credential satisfies never;
  }
}

const SCHEMES: readonly { kind: BridgeCaller["credential"]["kind"]; scheme: DeclaredScheme }[] = [
  {
    kind: "bearer",
    scheme: {
      name: "bearer",
      v10: { httpAuthSecurityScheme: { scheme: "Bearer" } },
      v03: { type: "http", scheme: "Bearer" },
    },
  },
  {
    kind: "api_key",
    scheme: {
      name: "apiKey",
      v10: { apiKeySecurityScheme: { location: "header", name: "X-API-Key" } },
      v03: { type: "apiKey", in: "header", name: "X-API-Key" },
    },
  },
  {
    kind: "basic",
    scheme: {
      name: "basic",
      v10: { httpAuthSecurityScheme: { scheme: "Basic" } },
      v03: { type: "http", scheme: "Basic" },
    },
  },
  {
    kind: "certificate",
    scheme: {
      name: "mtls",
      v10: { mtlsSecurityScheme: { description: "A certificate that this server knows" } },
      v03: { type: "mutualTLS", description: "A certificate that this server knows" },
    },
  },
];
