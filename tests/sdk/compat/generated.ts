import type {
  CompatArtifact,
  CompatCard,
  CompatMessage,
  CompatPart,
  CompatSkill,
  CompatTask,
  JsonObject,
  JsonValue,
} from "../../../sdk/compat/mod.ts";

const TEXTS = [
  "",
  "x",
  "Grüße 🦊",
  "null",
  "[object Object]",
  "a\u0000b",
  "2026-01-02T03:04:05.678Z",
  "legacy",
  "\ud83e\udd8a",
];
/** Names that have a meaning somewhere in the forms, or in JavaScript. */
const NAMES = [
  ...["a", "", "kind", "type", "text", "data", "raw", "url", "file", "value", "id", "name", "filename"],
  ...["media_type", "mediaType", "mimeType", "metadata", "extra", "status", "state", "constructor"],
  ...[
    "agentanycast",
    "agentanycast.task",
    "agentanycast.createdAt",
    "agentanycast.wrapped",
    "agentanycast.data",
  ],
  ...["agentanycast.mediaType", "agentanycast.filename", "data_part_compat", "parts", "role", "v03"],
];
const TAGS = ["mine", "", "read-only", "read-write", "destructive", "open-world", "closed-world"];
const STATES = [
  ...["submitted", "working", "input_required", "auth_required"] as const,
  ...["completed", "failed", "canceled", "rejected"] as const,
];

/** Values of the types of the SDK, the same for the same seed: with everything that they can have, and odd. */
export class Generator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 2_654_435_761 >>> 0;
  }

  /** From 0 to below `end` (mulberry32). */
  below(end: number): number {
    this.#state = this.#state + 0x6d2b79f5 >>> 0;
    let x = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state);
    x = x + Math.imul(x ^ x >>> 7, 61 | x) ^ x;
    return ((x ^ x >>> 14) >>> 0) % end;
  }

  one<T>(of: readonly T[]): T {
    return of[this.below(of.length)] as T;
  }

  /** Often nothing. */
  maybe<K extends string, T>(name: K, make: () => T): { [name in K]?: T } {
    return this.below(2) === 0 ? {} : { [name]: make() } as { [name in K]?: T };
  }

  list<T>(make: () => T, most = 3): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  text = (): string => this.one(TEXTS);
  texts = (): string[] => this.list(this.text);
  date = (): Date => new Date(1_700_000_000_000 + this.below(1_000_000_000));

  value = (depth = 2): JsonValue => {
    const kind = this.below(depth > 0 ? 6 : 4);
    if (kind === 0) return this.text();
    if (kind === 1) return this.one([0, -1.5, 1e21, 7]);
    if (kind === 2) return this.below(2) === 0;
    if (kind === 3) return null;
    return kind === 4 ? this.list(() => this.value(depth - 1)) : this.object(depth - 1);
  };

  object = (depth = 2): JsonObject =>
    Object.fromEntries(this.list(() => [this.one(NAMES), this.value(depth)] as const));

  metadata = (): Record<string, string> =>
    Object.fromEntries(
      [this.one(NAMES), ...this.list(() => this.one(NAMES))].map((name) => [name, this.text()]),
    );

  /** Members that only others know. */
  foreign = (): JsonObject => ({ [this.one(["x.example", "kind", "type", "file'"])]: this.value() });

  part = (): CompatPart => {
    const content = this.one<() => CompatPart>([
      () => ({ text: this.text() }),
      () => ({ url: this.text() }),
      () => ({ data: this.object() }),
      () => ({ data: this.one<JsonObject>([{ raw: "00ff" }, { value: 7 }, { raw: "" }, {}]) }),
      () => ({ raw: crypto.getRandomValues(new Uint8Array(this.below(5))) }),
    ])();
    return {
      ...content,
      ...this.maybe("filename", this.text),
      ...this.maybe("mediaType", this.text),
      ...this.maybe("metadata", this.metadata),
      ...this.maybe("extra", this.foreign),
    };
  };

  message = (): CompatMessage => ({
    role: this.one(["user", "agent"]),
    parts: this.list(this.part),
    messageId: `m-${this.below(1_000)}`,
    ...this.maybe("createdAt", this.date),
    ...this.maybe("extra", () => ({ ...this.foreign(), extensions: ["urn:x"], metadata: { n: 1 } })),
  });

  artifact = (): CompatArtifact => ({
    parts: this.list(this.part),
    artifactId: `a-${this.below(1_000)}`,
    ...this.maybe("name", this.text),
    ...this.maybe("extra", () => ({ ...this.foreign(), description: this.text(), metadata: { n: [1] } })),
  });

  task = (): CompatTask => ({
    taskId: `t-${this.below(1_000)}`,
    contextId: this.text(),
    status: this.one(STATES),
    messages: this.list(this.message),
    artifacts: this.list(this.artifact),
    metadata: this.metadata(),
    ...this.maybe("error", this.text),
    ...this.maybe("targetSkillId", this.text),
    ...this.maybe("peerId", this.text),
    ...this.maybe("direction", () => this.one(["inbound", "outbound"] as const)),
    ...this.maybe("originatorPeerId", this.text),
    ...this.maybe("createdAt", this.date),
    ...this.maybe("updatedAt", this.date),
    ...this.maybe("deadline", this.date),
    ...this.maybe("generation", () => this.below(9)),
    ...this.maybe("cancelRequested", () => this.below(2) === 0),
    ...this.maybe("traceParent", this.text),
    ...this.maybe("traceState", this.text),
    ...this.maybe("extra", this.foreign),
  });

  schema = (): string =>
    this.one(['{"type":"object"}', '{"type":"object","title":"t"}', '{"enum":[1]}', "{}"]);

  skill = (): CompatSkill => ({
    id: `s-${this.below(1_000)}`,
    ...this.maybe("name", this.text),
    ...this.maybe("description", this.text),
    ...this.maybe("tags", () => this.list(() => this.one(TAGS))),
    ...this.maybe("inputSchema", this.schema),
    ...this.maybe("outputSchema", this.schema),
    ...this.maybe("inputModes", this.texts),
    ...this.maybe("outputModes", this.texts),
    ...this.maybe("examples", this.texts),
    ...this.maybe("extra", this.foreign),
  });

  card = (): CompatCard => ({
    name: `card-${this.below(1_000)}`,
    ...this.maybe("description", this.text),
    ...this.maybe("version", this.text),
    ...this.maybe("protocolVersion", this.text),
    skills: this.list(this.skill),
    ...this.maybe("peerId", () => this.one(["12D3KooWa", "12D3KooWb"])),
    ...this.maybe("didKey", () => "did:key:z6MkeTGwHmLmuCmgg4ABYhzWVh6ZX7hTwWt8gguAretUfc9c"),
    ...this.maybe("didWeb", this.text),
    ...this.maybe("didDns", this.text),
    ...this.maybe("supportedTransports", this.texts),
    ...this.maybe("relayAddresses", this.texts),
    ...this.maybe("verifiableCredentials", this.texts),
    ...this.maybe("signedAt", this.date),
    ...this.maybe("extra", () => ({ ...this.foreign(), iconUrl: "https://x.example/i.png" })),
  });
}
