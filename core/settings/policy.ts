import { nearest } from "../nearest.ts";
import { count, oneOf, optionalPath, table, TableError } from "../setting.ts";

/** Who a rule is about, what it is about, and what it says. Of several, the first that fits decides. */
export interface AclRule {
  /** Tasks that come in, tasks that go out, or both. */
  readonly direction: "inbound" | "outbound" | "both";
  /** Pattern of who sends: a peer id, any of the sender's DIDs, or a caller of this node such as `http:alice`. */
  readonly source: string;
  /** Pattern of whom a task that goes out is for: a peer id, any of its DIDs, or a URL. */
  readonly target: string;
  /** Pattern of the skill; `*` also for a task that names none. */
  readonly skill: string;
  /** A valid credential that the other side has to have. */
  readonly credential: CredentialRule | undefined;
  readonly allow: boolean;
}

/** Which credentials count. */
export interface CredentialRule {
  /** Pattern of the DID of who issued it. */
  readonly issuer: string;
  /** Pattern of one of its types. */
  readonly type: string;
  /** Pattern of one of the capabilities in it. */
  readonly capability: string;
}

/** How fast, and how much at once. */
export interface RateLimits {
  /** New tasks and messages a second, on average; 0 is without limit. */
  readonly rps: number;
  /** How many may come at once. */
  readonly burst: number;
  /** Unfinished tasks at once; 0 is without limit. */
  readonly maxTasks: number;
}

/** The limits of everybody, and those of some. */
export interface RateLimitTable {
  /** Of each one who sends and is not named in `overrides`. */
  readonly byDefault: RateLimits;
  /** New tasks and messages a second from all together; 0 is without limit. */
  readonly totalRps: number;
  /** The first whose source fits counts. */
  readonly overrides: readonly (RateLimits & { readonly source: string })[];
}

const NO_LIMITS: RateLimitTable = {
  byDefault: { rps: 0, burst: 0, maxTasks: 0 },
  totalRps: 0,
  overrides: [],
};
const MAX_RULES = 1_000;
const DIRECTIONS = ["inbound", "outbound", "both"] as const;

/** `[policy]`: who may do what, how fast, and where it is written down. */
export const POLICY_SETTINGS = {
  acl: table<readonly AclRule[]>(
    [],
    parseAcl,
    "who may send which tasks, as [[policy.acl]]: the first rule that fits decides (docs/trust.md)",
    {
      type: "array",
      items: {
        type: "object",
        required: ["allow"],
        additionalProperties: false,
        properties: {
          direction: { enum: DIRECTIONS },
          source: { type: "string" },
          target: { type: "string" },
          skill: { type: "string" },
          credential: {
            type: "object",
            required: ["issuer"],
            additionalProperties: false,
            properties: {
              issuer: { type: "string" },
              type: { type: "string" },
              capability: { type: "string" },
            },
          },
          allow: { type: "boolean" },
        },
      },
    },
  ),
  rateLimit: table<RateLimitTable>(
    NO_LIMITS,
    parseRateLimit,
    "how many tasks everybody may send, as [policy.rate_limit] (docs/trust.md)",
    {
      type: "object",
      additionalProperties: false,
      properties: {
        default_rps: { type: "number", minimum: 0 },
        burst: { type: "integer", minimum: 1 },
        max_tasks: { type: "integer", minimum: 0 },
        total_rps: { type: "number", minimum: 0 },
        overrides: {
          type: "array",
          items: {
            type: "object",
            required: ["source"],
            additionalProperties: false,
            properties: {
              source: { type: "string" },
              rps: { type: "number", minimum: 0 },
              burst: { type: "integer", minimum: 1 },
              max_tasks: { type: "integer", minimum: 0 },
            },
          },
        },
      },
    },
  ),
  encryption: oneOf(
    ["off", "prefer", "require"],
    "off",
    "seal what is sent from node to node once more: never, for peers that can open it, or always and take nothing else",
  ),
  auditLogPath: optionalPath("file to which every decision is written, one JSON object per line"),
  auditMaxBytes: count(10 * 1024 * 1024, "size at which a new audit file begins"),
  auditKeep: count(5, "how many older audit files are kept"),
};

function parseAcl(raw: unknown): readonly AclRule[] {
  if (!Array.isArray(raw)) throw new SyntaxError("must be a list of rules, each [[policy.acl]]");
  if (raw.length > MAX_RULES) throw new SyntaxError(`must have at most ${MAX_RULES} rules`);
  return raw.map((rule, i) => within([i], () => parseRule(rule, `rule ${i + 1}: `)));
}

function parseRule(raw: unknown, where: string): AclRule {
  const fields = asTable(raw, where, ["direction", "source", "target", "skill", "credential", "allow"]);
  const { direction = "inbound", allow, credential } = fields;
  const known = DIRECTIONS.find((one) => one === direction);
  if (known === undefined) {
    throw new TableError(["direction"], `${where}direction must be one of ${DIRECTIONS.join(", ")}`);
  }
  if (typeof allow !== "boolean") throw new TableError(["allow"], `${where}allow must be true or false`);
  if (fields.target !== undefined && known !== "outbound") {
    const why = `target belongs to direction "outbound": what comes in is for this node`;
    throw new TableError(["target"], where + why);
  }
  return {
    direction: known,
    source: asPattern(fields, "source", where),
    target: asPattern(fields, "target", where),
    skill: asPattern(fields, "skill", where),
    credential: credential === undefined
      ? undefined
      : within(["credential"], () => parseCredentialRule(credential, `${where}credential: `)),
    allow,
  };
}

function parseCredentialRule(raw: unknown, where: string): CredentialRule {
  const fields = asTable(raw, where, ["issuer", "type", "capability"]);
  if (fields.issuer === undefined) {
    throw new TableError([], `${where}needs an issuer: anybody can issue one to himself`);
  }
  return {
    issuer: asPattern(fields, "issuer", where),
    type: asPattern(fields, "type", where),
    capability: asPattern(fields, "capability", where),
  };
}

function parseRateLimit(raw: unknown): RateLimitTable {
  const fields = asTable(raw, "", ["default_rps", "burst", "max_tasks", "total_rps", "overrides"]);
  const { overrides = [], total_rps = 0 } = fields;
  if (!Array.isArray(overrides) || overrides.length > MAX_RULES) {
    throw new TableError(["overrides"], `overrides must be a list of at most ${MAX_RULES} tables`);
  }
  return {
    byDefault: parseLimits(fields, "default_rps", ""),
    totalRps: asNumber({ total_rps }, "total_rps", ""),
    overrides: overrides.map((one, i) =>
      within(["overrides", i], () => {
        const where = `override ${i + 1}: `;
        const given = asTable(one, where, ["source", "rps", "burst", "max_tasks"]);
        if (given.source === undefined) throw new TableError([], `${where}needs a source`);
        return { source: asPattern(given, "source", where), ...parseLimits(given, "rps", where) };
      })
    ),
  };
}

/** @param rate what the rate is called. */
function parseLimits(given: Fields, rate: string, where: string): RateLimits {
  const { byDefault } = NO_LIMITS;
  const fields = { [rate]: byDefault.rps, max_tasks: byDefault.maxTasks, ...given };
  const rps = asNumber(fields, rate, where);
  const burst = asNumber({ burst: Math.max(1, Math.ceil(rps)), ...fields }, "burst", where);
  const maxTasks = asNumber(fields, "max_tasks", where);
  if (burst < 1) throw new TableError(["burst"], `${where}burst must be 1 or more`);
  if (!Number.isInteger(maxTasks)) {
    throw new TableError(["max_tasks"], `${where}max_tasks must be a whole number`);
  }
  return { rps, burst, maxTasks };
}

type Fields = Readonly<Record<string, unknown>>;

/** What `work` reads of a part of the table, `path` from it. */
function within<T>(path: TableError["path"], work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    throw new TableError([...path, ...error.path], error.message);
  }
}

function asTable(raw: unknown, where: string, known: readonly string[]): Fields {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new TableError([], `${where}must be a table`);
  }
  const unknown = Object.keys(raw).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    const meant = nearest(unknown, known);
    const advice = meant === undefined ? `known are ${known.join(", ")}` : `did you mean "${meant}"?`;
    throw new TableError([unknown], `${where}unknown key "${unknown}": ${advice}`);
  }
  return raw as Fields;
}

function asPattern(fields: Fields, key: string, where: string): string {
  const raw = fields[key];
  if (raw === undefined) return "*";
  if (typeof raw !== "string" || raw === "" || raw.length > 1_024) {
    throw new TableError([key], `${where}${key} must be a text such as did:web:example.com or http:*`);
  }
  if (/[[\]]/.test(raw)) {
    const why = "has brackets: only * (any characters) and ? (one) stand for others";
    throw new TableError([key], `${where}${key} ${why}`);
  }
  return raw;
}

function asNumber(fields: Fields, key: string, where: string): number {
  const raw = fields[key];
  if (typeof raw === "number" && Number.isFinite(raw) && raw >= 0) return raw;
  throw new TableError([key], `${where}${key} must be a number of 0 or more`);
}
