import type { Engine } from "../../a2a/mod.ts";
import type { Config } from "../../core/config.ts";
import { silentTracer, traced, type Tracer } from "../../core/tracer.ts";
import { VERSION } from "../../core/version.ts";
import { loadOtlp } from "../../http/mod.ts";

/** The tracer that the configuration asks for; `stack` closes it. @throws CodedError `invalid_argument`. */
export async function openNodeTracer(
  { enabled, otlpEndpoint = "http://127.0.0.1:4318", sampleRate }: Config["telemetry"],
  { stack }: { stack: AsyncDisposableStack },
): Promise<Tracer> {
  if (!enabled) return silentTracer;
  const { openOtlpTracer } = await loadOtlp();
  return stack.use(
    openOtlpTracer({ endpoint: otlpEndpoint, sampleRate, service: "agentanycast-node", version: VERSION }),
  );
}

/** What peers send to `engine`, as parts of their traces: what follows from it belongs to the part. */
export function traceReceived(engine: Engine, tracer: Tracer): Pick<Engine, "receive" | "peerConnected"> {
  if (tracer === silentTracer) return engine;
  return {
    peerConnected: (peerId) => engine.peerConnected(peerId),
    receive(peerId, envelope) {
      const { body, trace: parent } = envelope;
      const span = tracer.start("a2a.handle_message", {
        parent,
        kind: "consumer",
        attributes: { "a2a.envelope": body.type, "a2a.task_id": body.taskId, "peer.id": peerId },
      });
      return traced(span, (trace) => engine.receive(peerId, { ...envelope, trace }));
    },
  };
}
