/** W3C Trace Context: what a request belongs to; empty for nothing. https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  readonly traceParent: string;
  readonly traceState: string;
}

/** No trace. */
export const NO_TRACE: TraceContext = { traceParent: "", traceState: "" };

/** What a span says of itself. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** Something that takes time, as a part of a trace. */
export interface Span {
  /** What parts of it belong to. */
  readonly context: TraceContext;
  /** Ends it; with an error, as failed. */
  end(error?: unknown): void;
}

export interface SpanOptions {
  /** What it is a part of; default nothing. */
  readonly parent?: TraceContext | undefined;
  readonly attributes?: SpanAttributes;
  /** On which side of a call it is. Default neither. */
  readonly kind?: "client" | "server" | "producer" | "consumer";
}

/** Tells a collector what was done when. Never throws and never waits. */
export interface Tracer {
  start(name: string, options?: SpanOptions): Span;
}

/** Tells nobody: traces pass through as they came. */
export const silentTracer: Tracer = {
  start: (_name, { parent = NO_TRACE } = {}) => ({ context: parent, end: () => {} }),
};

/** `work` as a span, which ends with it. */
export async function traced<T>(span: Span, work: (context: TraceContext) => Promise<T>): Promise<T> {
  try {
    const result = await work(span.context);
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}

/** A span's parts of a `traceparent` header; undefined for one that is none. */
export function parseTraceParent(
  traceParent: string,
): { readonly traceId: string; readonly spanId: string; readonly sampled: boolean } | undefined {
  if (traceParent === "") return undefined;
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/.exec(traceParent);
  const [, traceId = "", spanId = "", flags = ""] = match ?? [];
  if (traceId === "" || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 };
}

/** The `traceparent` header of a span. */
export function toTraceParent(
  { traceId, spanId, sampled }: { traceId: string; spanId: string; sampled: boolean },
): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}
