import type { AgentCard, AgentInterface } from "@a2a-js/sdk";
import { DefaultRequestHandler, InMemoryTaskStore } from "@a2a-js/sdk/server";
import { jsonRpcHandler, restHandler, UserBuilder } from "@a2a-js/sdk/server/express";
import { A2AService, grpcService } from "@a2a-js/sdk/server/grpc";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import type { Server } from "node:http";
import express from "express";
import { installHttp2Guard } from "../../core/http2_guard.ts";
import { createScriptedAgent, type ScriptedAgent } from "./scripted_agent.ts";

/** An agent of the official A2A library on loopback. */
export interface A2aServer extends AsyncDisposable {
  readonly url: string;
  readonly agent: ScriptedAgent;
  /** Method (of JSON-RPC, or of HTTP with its path) and headers of each request to the agent, in order. */
  readonly requests: { method: string; headers: Record<string, unknown> }[];
  /** Breaks all connections; new ones are taken. */
  cut(): void;
}

export interface A2aServerOptions {
  readonly binding: "JSONRPC" | "HTTP+JSON" | "GRPC";
  readonly version: "1.0" | "0.3";
  /** Default true. */
  readonly streaming?: boolean;
  /** The card that is shown instead of the usual one; undefined shows none. */
  readonly card?: ((url: string) => unknown) | undefined;
  /** Default: any that is free. */
  readonly port?: number;
  /** What happens to a request; undefined: the agent answers it. */
  readonly before?: (request: ExpressRequest) => RequestFate | undefined;
}

/** It is answered so, broken off, never answered, or done with its answer broken off. */
export type RequestFate = { readonly status: number; readonly body: unknown } | "break" | "hang" | "swallow";

/** As much of a request as tests look at. */
export interface ExpressRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, unknown>;
  readonly body: { method?: string } | undefined;
}

/** Starts one. */
export async function startA2aServer(options: A2aServerOptions): Promise<A2aServer> {
  const agent = createScriptedAgent();
  const requests: A2aServer["requests"] = [];
  const app = express();
  const server: Server = await new Promise((resolve) => {
    const listening: Server = app.listen(options.port ?? 0, "127.0.0.1", () => resolve(listening));
  });
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const grpc = options.binding === "GRPC" ? await bindGrpc() : undefined;
  const card = cardOf(url, { ...options, ...(grpc && { grpcPort: grpc.port }) });
  const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), agent);
  const shown = "card" in options
    ? options.card?.(url)
    : options.version === "1.0"
    ? card
    : legacyCardOf(url, options);
  if (shown !== undefined) {
    app.get("/.well-known/agent-card.json", (_request: unknown, response: { json(body: unknown): void }) => {
      response.json(shown);
    });
  }
  app.use("/a2a", express.json());
  app.use("/a2a", gate(requests, options));
  const handlers = {
    requestHandler,
    userBuilder: UserBuilder.noAuthentication,
    legacyCompat: { enabled: true },
  };
  if (grpc !== undefined) grpc.server.addService(A2AService, grpcService(handlers));
  else app.use("/a2a", options.binding === "JSONRPC" ? jsonRpcHandler(handlers) : restHandler(handlers));
  return {
    url,
    agent,
    requests,
    cut: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      agent.release();
      grpc?.server.forceShutdown();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface ExpressResponse {
  readonly socket: { destroy(): void } | null;
  write: () => boolean;
  end: () => boolean;
  status(status: number): { json(body: unknown): void };
}

/** Notes each request, and lets happen to it what the test wants. */
function gate(requests: A2aServer["requests"], { before }: A2aServerOptions) {
  return (request: ExpressRequest, response: ExpressResponse, next: () => void) => {
    requests.push({
      method: request.body?.method ?? `${request.method} ${request.path}`,
      headers: request.headers,
    });
    const answer = before?.(request);
    if (answer === "break") return response.socket?.destroy();
    if (answer === "hang") return;
    if (answer === undefined) return next();
    if (answer === "swallow") {
      response.write = response.end = () => {
        response.socket?.destroy();
        return true;
      };
      return next();
    }
    response.status(answer.status).json(answer.body);
  };
}

/** A gRPC server on a free port, to which services can still be added. */
async function bindGrpc(): Promise<{ server: GrpcServer; port: number }> {
  installHttp2Guard();
  const server = new GrpcServer();
  const port = await new Promise<number>((resolve, reject) => {
    const insecure = ServerCredentials.createInsecure();
    server.bindAsync(
      "127.0.0.1:0",
      insecure,
      (error, bound) => error === null ? resolve(bound) : reject(error),
    );
  });
  return { server, port };
}

function cardOf(
  url: string,
  { binding, version, streaming = true, grpcPort }: A2aServerOptions & { grpcPort?: number },
): AgentCard {
  const at = grpcPort === undefined ? `${url}/a2a` : `127.0.0.1:${grpcPort}`;
  const supported: AgentInterface[] = [
    { url: at, protocolBinding: binding, protocolVersion: version, tenant: "" },
  ];
  return {
    name: "Scripted",
    description: "Does what it is told",
    version: "1.0.0",
    supportedInterfaces: supported,
    provider: undefined,
    capabilities: { streaming, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [],
    signatures: [],
  };
}

function legacyCardOf(url: string, { binding, streaming = true }: A2aServerOptions) {
  return {
    protocolVersion: "0.3.0",
    name: "Scripted",
    description: "Does what it is told",
    version: "1.0.0",
    url: `${url}/a2a`,
    preferredTransport: binding,
    capabilities: { streaming },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [],
  };
}
