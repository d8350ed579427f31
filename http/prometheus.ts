import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { KeyedLock } from "../core/keyed_lock.ts";
import type { GaugeValues, LabelsOf, Meter, Metrics } from "../core/meter.ts";

/** A meter whose counts can be read as Prometheus text or OpenMetrics. */
export interface Prometheus<T extends Metrics> {
  readonly meter: Meter<T>;
  /** All metrics in the format that the `Accept` header asks for. */
  render(accept: string): Promise<{ readonly body: string; readonly contentType: string }>;
}

const OPEN_METRICS = Registry.OPENMETRICS_CONTENT_TYPE;

/** A meter for `metrics`; their names are preceded by `prefix`. Every metric is there from the start. */
export function createPrometheus<T extends Metrics>(
  metrics: T,
  { prefix }: { prefix: string },
): Prometheus<T> {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const histograms = new Map<string, Histogram>();
  const gauges = new Map<string, () => GaugeValues<T, string> | Promise<GaugeValues<T, string>>>();
  const rendering = new KeyedLock();
  for (const [name, { type, help, labels, buckets }] of Object.entries(metrics)) {
    const given = { name: `${prefix}${name}`, help, labelNames: [...labels], registers: [registry] };
    if (type === "counter") counters.set(name, new Counter(given));
    else if (type === "histogram") {
      histograms.set(name, new Histogram({ ...given, ...(buckets && { buckets: [...buckets] }) }));
    } else {
      new Gauge({
        ...given,
        async collect() {
          this.reset();
          for (const [values, value] of await gauges.get(name)?.() ?? []) this.set(values, value);
        },
      });
    }
  }
  return {
    meter: {
      count: (name, labels: LabelsOf<T, string>, by = 1) => counters.get(name)?.inc(labels, by),
      observe: (name, labels: LabelsOf<T, string>, value) => histograms.get(name)?.observe(labels, value),
      gauge: (name, read) => void gauges.set(name, read as () => GaugeValues<T, string>),
    },
    // Not two at once: the format belongs to the registry.
    render: (accept) =>
      rendering.run("render", async () => {
        const contentType = accept.includes("application/openmetrics-text")
          ? OPEN_METRICS
          : Registry.PROMETHEUS_CONTENT_TYPE;
        registry.setContentType(contentType as typeof Registry.PROMETHEUS_CONTENT_TYPE);
        return { body: await registry.metrics(), contentType };
      }),
  };
}
