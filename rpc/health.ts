import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { Buffer } from "node:buffer";
import { CodedError } from "../core/errors.ts";
import type { RpcMethodDefinition } from "./method_definition.ts";
import type { RpcContext, RpcMethod, RpcService } from "./rpc_service.ts";

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const SERVING = 1;
const SERVICE_UNKNOWN = 3;

const PACKAGE_SERVICE = "grpc.health.v1.Health";

interface HealthCheckRequest {
  readonly service: string;
}

interface HealthCheckResponse {
  readonly status: number;
}

/**
 * The standard health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md), written out because its two
 * messages have one field each. Everything in `names`, and the server as a whole (`""`), is serving until the server stops;
 * `Watch` then ends with the other streams.
 */
export function createHealthService(names: readonly string[]): RpcService {
  const known = new Set(["", ...names]);
  const check = (request: unknown) => {
    const { service } = request as HealthCheckRequest;
    if (known.has(service)) return { status: SERVING };
    throw new CodedError("not_found", `No such service: ${JSON.stringify(service)}`);
  };
  async function* watch(request: unknown, { signal }: RpcContext) {
    yield { status: known.has((request as HealthCheckRequest).service) ? SERVING : SERVICE_UNKNOWN };
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  return {
    name: PACKAGE_SERVICE,
    methods: [
      { definition: healthMethod("Check", false), handle: check },
      { definition: healthMethod("Watch", true), handle: watch },
    ],
  };
}

function healthMethod(name: string, responseStream: boolean): RpcMethod["definition"] {
  const definition: RpcMethodDefinition<HealthCheckRequest, HealthCheckResponse> = {
    path: `/${PACKAGE_SERVICE}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: ({ service }) => Buffer.from(new BinaryWriter().tag(1, 2).string(service).finish()),
    requestDeserialize: readRequest,
    responseSerialize: ({ status }) => Buffer.from(new BinaryWriter().tag(1, 0).int32(status).finish()),
    responseDeserialize: readResponse,
  };
  return definition as unknown as RpcMethod["definition"];
}

/** `message HealthCheckRequest { string service = 1; }` */
function readRequest(bytes: Uint8Array): HealthCheckRequest {
  const reader = new BinaryReader(bytes);
  let service = "";
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === 2) service = reader.string();
    else reader.skip(wireType, field);
  }
  return { service };
}

/** `message HealthCheckResponse { ServingStatus status = 1; }` */
function readResponse(bytes: Uint8Array): HealthCheckResponse {
  const reader = new BinaryReader(bytes);
  let status = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === 0) status = reader.int32();
    else reader.skip(wireType, field);
  }
  return { status };
}
