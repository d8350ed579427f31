import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { silentLogger } from "../../core/log.ts";
import { createMcpEndpoint, createNetworkService, type McpEndpointOptions } from "../../mcp/mod.ts";
import { tempDir } from "../support/temp_dir.ts";
import { type FakeAgent, FakeNetwork } from "./fake_network.ts";

/** Revisions a client can speak. */
export type ClientRevision = "2025-11-25" | "2026-07-28";

/** The network's service over the HTTP endpoint, with clients of the official library; no sockets. */
export class NetworkRig implements AsyncDisposable {
  readonly network: FakeNetwork;
  readonly endpoint: ReturnType<typeof createMcpEndpoint>;
  readonly #stack: AsyncDisposableStack;

  private constructor(network: FakeNetwork, endpoint: NetworkRig["endpoint"], stack: AsyncDisposableStack) {
    this.network = network;
    this.endpoint = endpoint;
    this.#stack = stack;
  }

  static async start(agent: FakeAgent, options: McpEndpointOptions = {}): Promise<NetworkRig> {
    const stack = new AsyncDisposableStack();
    const folder = stack.use(await tempDir());
    const network = new FakeNetwork(agent);
    const service = stack.use(createNetworkService({
      accessFor: () => network,
      pinsPath: `${folder.path}/pins.json`,
      logger: silentLogger,
    }));
    const endpoint = stack.use(createMcpEndpoint({ service, logger: silentLogger }, options));
    return new NetworkRig(network, endpoint, stack);
  }

  /** A connected client; `answer` is what its user says when an agent asks. */
  async client(revision: ClientRevision, { answer }: { answer?: string | null } = {}): Promise<Client> {
    const capabilities = answer === undefined ? {} : { elicitation: { form: {} } };
    const client = new Client({ name: "test", version: "1" }, {
      capabilities,
      ...(revision === "2026-07-28" && { versionNegotiation: { mode: { pin: revision } } }),
    });
    if (answer !== undefined) {
      client.setRequestHandler(
        "elicitation/create",
        () => answer === null ? { action: "decline" } : { action: "accept", content: { answer } },
      );
    }
    const transport = new StreamableHTTPClientTransport(new URL("http://127.0.0.1/mcp"), {
      fetch: (url, init) => {
        const request = new Request(url, init ?? {});
        request.headers.set("host", "127.0.0.1");
        return this.endpoint.fetch(request);
      },
    });
    await client.connect(transport);
    this.#stack.defer(() => client.close());
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
