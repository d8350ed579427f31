/** Counts, gauges and health of a daemon, for those who run it. Whoever starts its server closes it. */
export { startMetricsServer } from "./metrics_server.ts";
export { watchNode } from "./node_gauges.ts";
export { measureCommits, type NodeMetrics, openNodeMetrics, toEngineObserver } from "./node_meter.ts";
export { openNodeTracer, traceReceived } from "./node_tracer.ts";
