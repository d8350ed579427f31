import { toCodedError } from "../../core/errors.ts";
import type { RpcContext, RpcMethod, RpcService } from "../../rpc/rpc_service.ts";
import type { RelayMeter } from "../relay_metrics.ts";

/** `service` with each call counted by method and outcome, and timed. Its calls have one request and one answer. */
export function createMeteredService(service: RpcService, meter: RelayMeter): RpcService {
  return { ...service, methods: service.methods.map((method) => toMetered(method, meter)) };
}

function toMetered({ definition, handle }: RpcMethod, meter: RelayMeter): RpcMethod {
  const method = definition.path.slice(definition.path.lastIndexOf("/") + 1);
  return {
    definition,
    async handle(request: unknown, context: RpcContext) {
      const startMs = performance.now();
      let code = "ok";
      try {
        return await handle(request, context);
      } catch (error) {
        code = toCodedError(error).code;
        throw error;
      } finally {
        meter.count("rpc_requests_total", { method, code });
        meter.observe("rpc_duration_seconds", { method }, (performance.now() - startMs) / 1000);
      }
    },
  };
}
