import type { AgentCard } from "@a2a-js/sdk";

/** The card of the echo agent at `url`. */
export function echoCard(url: string): AgentCard {
  return {
    name: "Echo",
    description: "",
    version: "1.0.0",
    supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0", tenant: "" }],
    provider: undefined,
    capabilities: undefined,
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [],
    signatures: [],
  };
}
