import {
  createTraceState,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { CodedError, errorMessage } from "../core/errors.ts";
import {
  parseTraceParent,
  type SpanOptions,
  toTraceParent,
  type TraceContext,
  type Tracer,
} from "../core/tracer.ts";

/** Where spans go, and which. */
export interface OtlpOptions {
  /** URL of the collector, such as `http://127.0.0.1:4318`. */
  readonly endpoint: string;
  /** Share of the traces begun here that are told, 0 to 1; those of others go on as they say. */
  readonly sampleRate: number;
  /** `service.name`. */
  readonly service: string;
  readonly version: string;
}

/** A tracer whose spans go to a collector in batches. Disposing it sends what it has, for at most 5 s. */
export interface OtlpTracer extends Tracer, AsyncDisposable {}

const KINDS = {
  client: SpanKind.CLIENT,
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;
const FLUSH_TIMEOUT_MS = 5_000;

/** Opens a tracer over OTLP/HTTP. @throws CodedError `invalid_argument` for an endpoint that is no URL. */
export function openOtlpTracer({ endpoint, sampleRate, service, version }: OtlpOptions): OtlpTracer {
  const exporter = new OTLPTraceExporter({ url: tracesUrl(endpoint), timeoutMillis: FLUSH_TIMEOUT_MS });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": service, "service.version": version }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRate) }),
    spanProcessors: [
      new BatchSpanProcessor({ exporter, maxQueueSize: 4096, exportTimeoutMillis: FLUSH_TIMEOUT_MS }),
    ],
  });
  const tracer = provider.getTracer("agentanycast", version);
  return {
    start(name, { parent, attributes = {}, kind }: SpanOptions = {}) {
      const context = toOtelContext(parent);
      const given = { attributes, ...(kind && { kind: KINDS[kind] }) };
      const span = tracer.startSpan(name, given, context);
      return { context: contextOf(span), end: (error) => endSpan(span, error) };
    },
    [Symbol.asyncDispose]: async () => {
      await provider.shutdown().catch(() => {
        // The collector is away: its spans are lost, and nothing else.
      });
    },
  };
}

/** `host:port` and URLs without a path are completed to the collector's `/v1/traces`. */
function tracesUrl(endpoint: string): string {
  const url = URL.parse(/^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`);
  if (url === null) {
    throw new CodedError(
      "invalid_argument",
      `Cannot send traces to "${endpoint}": write a URL such as http://127.0.0.1:4318`,
    );
  }
  if (url.pathname === "/") url.pathname = "/v1/traces";
  return url.href;
}

function toOtelContext(parent: TraceContext | undefined) {
  const parsed = parseTraceParent(parent?.traceParent ?? "");
  if (parsed === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, sampled } = parsed;
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...{ traceId, spanId, isRemote: true, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE },
    ...(parent?.traceState && { traceState: createTraceState(parent.traceState) }),
  });
}

function contextOf(span: OtelSpan): TraceContext {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
  return {
    traceParent: toTraceParent({ traceId, spanId, sampled }),
    traceState: traceState?.serialize() ?? "",
  };
}

function endSpan(span: OtelSpan, error: unknown): void {
  if (error !== undefined) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: errorMessage(error) });
  }
  span.end();
}
