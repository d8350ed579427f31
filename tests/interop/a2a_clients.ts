import {
  type Client,
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from "@a2a-js/sdk/client";
import { GrpcTransportFactory } from "@a2a-js/sdk/client/grpc";

/** A binding and version of A2A in which the official client speaks to the bridge. */
export interface SpokenBinding {
  readonly name: string;
  readonly binding: "JSONRPC" | "HTTP+JSON" | "GRPC";
  readonly version: "1.0" | "0.3";
}

/** All that the bridge speaks. */
export const SPOKEN_BINDINGS: readonly SpokenBinding[] = [
  { name: "1.0 JSON-RPC", binding: "JSONRPC", version: "1.0" },
  { name: "1.0 REST", binding: "HTTP+JSON", version: "1.0" },
  { name: "1.0 gRPC", binding: "GRPC", version: "1.0" },
  { name: "0.3 JSON-RPC", binding: "JSONRPC", version: "0.3" },
  { name: "0.3 REST", binding: "HTTP+JSON", version: "0.3" },
];

/** The card of the agent at `url`, as the bridge serves it. */
export async function fetchCard(url: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/.well-known/agent-card.json`, { headers: { "a2a-version": "1.0" } });
  return await response.json();
}

/** The official client, made to speak one binding to the agent at `url`. */
export async function openOfficialClient(url: string, { binding, version }: SpokenBinding): Promise<Client> {
  const legacyCompat = { enabled: version === "0.3" };
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory({ legacyCompat }),
      new RestTransportFactory({ legacyCompat }),
      new GrpcTransportFactory(),
    ],
  });
  const card = await fetchCard(url);
  const interfaces = card.supportedInterfaces as { protocolBinding: string; protocolVersion: string }[];
  const supportedInterfaces = interfaces.filter((one) =>
    one.protocolBinding === binding && one.protocolVersion === version
  );
  return await factory.createFromAgentCard({ ...card, supportedInterfaces } as never);
}
