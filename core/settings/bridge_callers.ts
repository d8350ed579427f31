/** Somebody who may call the bridge, and how he proves who he is. */
export interface BridgeCaller {
  /** What policies and logs call him. */
  readonly name: string;
  readonly credential:
    /** `Authorization: Bearer …`. */
    | { readonly kind: "bearer"; readonly token: string }
    /** The header `X-API-Key`. */
    | { readonly kind: "api_key"; readonly key: string }
    /** `Authorization: Basic …`. */
    | { readonly kind: "basic"; readonly user: string; readonly password: string }
    /** A certificate: its SHA-256 in hex, or the common name of one that `tls_client_ca` has signed. */
    | { readonly kind: "certificate"; readonly certificate: string };
}

const CREDENTIALS = ["bearer", "api_key", "basic", "certificate"] as const;
const MIN_SECRET_LENGTH = 8;

/** `[[bridge.callers]]` as editors know it. */
export const CALLERS_SCHEMA = {
  type: "array",
  items: {
    type: "object",
    required: ["name"],
    additionalProperties: false,
    properties: {
      name: { type: "string" },
      bearer: { type: "string", description: "bearer token" },
      api_key: { type: "string", description: "value of the header X-API-Key" },
      basic: { type: "string", description: "user:password" },
      certificate: { type: "string", description: "SHA-256 in hex, or common name" },
    },
  },
};

/** The callers of a configuration file. @throws SyntaxError. */
export function parseCallers(raw: unknown): readonly BridgeCaller[] {
  if (!Array.isArray(raw)) throw new SyntaxError("must be tables: [[bridge.callers]]");
  return raw.flatMap((entry, i) => parseCaller(entry, `entry ${i + 1}`));
}

function parseCaller(entry: unknown, where: string): BridgeCaller[] {
  if (typeof entry !== "object" || entry === null) throw new SyntaxError(`${where} must be a table`);
  const { name, ...credentials } = entry as Record<string, unknown>;
  const checked = checkCallerName(name, where);
  const given = Object.entries(credentials);
  if (given.length === 0) throw new SyntaxError(`${where} needs one of ${CREDENTIALS.join(", ")}`);
  return given.map(([kind, value]) => {
    if (typeof value !== "string") throw new SyntaxError(`${where}: ${kind} must be a text`);
    return { name: checked, credential: parseCredential(kind, value, where) };
  });
}

function parseCredential(kind: string, value: string, where: string): BridgeCaller["credential"] {
  switch (kind) {
    case "bearer":
      return { kind, token: checkSecret(value, `${where}: bearer`) };
    case "api_key":
      return { kind, key: checkSecret(value, `${where}: api_key`) };
    case "basic": {
      const colon = value.indexOf(":");
      if (colon < 1) throw new SyntaxError(`${where}: basic must be user:password`);
      const password = checkSecret(value.slice(colon + 1), `${where}: the password`);
      return { kind, user: value.slice(0, colon), password };
    }
    case "certificate":
      if (value === "") throw new SyntaxError(`${where}: certificate is empty`);
      return { kind, certificate: value };
    default:
      throw new SyntaxError(
        `${where} has an unknown member "${kind}": known are name, ${CREDENTIALS.join(", ")}`,
      );
  }
}

/** The caller that `name=token` says. @throws SyntaxError. */
export function parseToken(entry: string): BridgeCaller {
  const equals = entry.indexOf("=");
  if (equals < 1) throw new SyntaxError("a token must be name=token");
  const name = checkCallerName(entry.slice(0, equals), "the token");
  return { name, credential: { kind: "bearer", token: checkSecret(entry.slice(equals + 1), name) } };
}

function checkCallerName(name: unknown, where: string): string {
  if (typeof name === "string" && /^[A-Za-z0-9._@-]{1,64}$/.test(name)) return name;
  throw new SyntaxError(`${where}: name must be 1 to 64 of A-Z a-z 0-9 . _ @ -`);
}

function checkSecret(secret: string, where: string): string {
  if (secret.length >= MIN_SECRET_LENGTH) return secret;
  throw new SyntaxError(`${where} is shorter than ${MIN_SECRET_LENGTH} characters`);
}
