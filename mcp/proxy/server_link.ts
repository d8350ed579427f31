import {
  type CallToolResult,
  Client,
  type ElicitRequest,
  type ElicitResult,
  StreamableHTTPClientTransport,
  type Tool,
  type Transport,
} from "@modelcontextprotocol/client";
import { abortable } from "../../core/abortable.ts";
import type { Clock } from "../../core/clock.ts";
import { CodedError, errorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { VERSION } from "../../core/version.ts";
import { safeLine } from "../network/safe_text.ts";
import { Patience } from "../patience.ts";
import type { ServerAddress } from "./server_address.ts";

/** What the server says about itself. */
export interface ServerFacts {
  readonly name: string;
  readonly version: string;
  readonly instructions: string;
  readonly tools: readonly Tool[];
}

/** Asks whoever has sent the task what the server wants to know; undefined for no answer. */
export type Ask = (request: ElicitRequest["params"]) => Promise<ElicitResult>;

export interface ServerLinkDeps {
  readonly address: ServerAddress;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Told what the server offers, each time when it changes. */
  readonly onFacts: (facts: ServerFacts) => Promise<void>;
}

/** Waits before the server is started again, doubled with each failure, in milliseconds. */
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 60_000;
/** A server that ran for this long has not failed at its start, in milliseconds. */
const STABLE_MS = 30_000;
/** How long a call waits for a server that is being started, in milliseconds. */
const READY_TIMEOUT_MS = 30_000;
/** How long a call may be silent, in milliseconds: progress begins it anew. */
const SILENCE_MS = 10 * 60_000;
/** How long a call may take at all, in milliseconds. */
const CALL_MS = 6 * 60 * 60_000;

/** A connection to an MCP server that is made again, with growing waits, whenever it breaks. */
export class ServerLink {
  readonly #deps: ServerLinkDeps;
  /** Those who are to be asked, by the calls that run. */
  readonly #asking = new Set<Ask>();
  #ready = Promise.withResolvers<Client>();

  constructor(deps: ServerLinkDeps) {
    this.#deps = deps;
  }

  /** Keeps the connection until `signal` fires. Throws what keeps it from being made for the first time. */
  async run({ signal }: { signal: AbortSignal }): Promise<void> {
    const { clock, logger } = this.#deps;
    let backoffMs = FIRST_BACKOFF_MS;
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      const startedMs = clock.now();
      try {
        await this.#connection(signal);
        logger.warn("The MCP server has ended");
      } catch (error) {
        if (signal.aborted) break;
        if (isFirst) throw toStartError(error, this.#deps.address);
        logger.warn("The MCP server cannot be reached", { error: errorMessage(error) });
      }
      if (clock.now() - startedMs >= STABLE_MS) backoffMs = FIRST_BACKOFF_MS;
      if (!signal.aborted) await clock.sleep(backoffMs, signal).catch(() => {}); // the loop sees why
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
    }
  }

  /** Calls a tool. @throws CodedError `unavailable`, or the server's protocol error. */
  async call(
    tool: { name: string; arguments: Record<string, unknown> },
    options: { signal: AbortSignal; onProgress: (text: string) => void; ask: Ask },
  ): Promise<CallToolResult> {
    const client = await this.#whenReady(options.signal);
    this.#asking.add(options.ask);
    try {
      return await client.callTool(tool, {
        signal: options.signal,
        timeout: SILENCE_MS,
        maxTotalTimeout: CALL_MS,
        resetTimeoutOnProgress: true,
        onprogress: ({ message, progress, total }) =>
          options.onProgress(message ?? (total === undefined ? `${progress}` : `${progress} of ${total}`)),
      });
    } finally {
      this.#asking.delete(options.ask);
    }
  }

  /** One connection, from its begin to its end. */
  async #connection(signal: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<void>();
    const client = await this.#connect(signal);
    client.onclose = () => ended.resolve();
    const onAbort = () => void client.close();
    signal.addEventListener("abort", onAbort, { once: true });
    let isReady = false;
    try {
      const { tools } = await client.listTools();
      await this.#tellFacts(client, tools);
      isReady = true;
      this.#ready.resolve(client);
      await ended.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (isReady) this.#ready = Promise.withResolvers(); // calls that still wait get the next connection
      await client.close();
    }
  }

  /** Servers that know only the newest revision refuse the handshake of earlier ones. */
  async #connect(signal: AbortSignal): Promise<Client> {
    const isUrl = this.#deps.address.kind === "url";
    try {
      return await this.#connectAs(isUrl ? "auto" : "legacy", signal);
    } catch (error) {
      if (isUrl || signal.aborted || error instanceof CodedError) throw error;
      return await this.#connectAs({ pin: "2026-07-28" }, signal).catch(() => Promise.reject(error));
    }
  }

  async #connectAs(mode: "auto" | "legacy" | { pin: string }, signal: AbortSignal): Promise<Client> {
    const { logger } = this.#deps;
    const client = new Client({ name: "agentanycast-proxy", version: VERSION }, {
      capabilities: { elicitation: { form: {} } },
      versionNegotiation: { mode },
      listChanged: {
        tools: {
          onChanged: (error, tools) => {
            if (error || tools === null) {
              logger.warn("The tools of the MCP server cannot be listed", { error });
            } else {this.#tellFacts(client, tools).catch((error) =>
                logger.warn("The card is as before", { error })
              );}
          },
        },
      },
    });
    client.setRequestHandler("elicitation/create", async ({ params }) => {
      const [ask] = this.#asking;
      // With several calls nobody knows which one asks.
      if (ask === undefined || this.#asking.size > 1) return { action: "decline" };
      return await ask(params);
    });
    client.onerror = (error) => logger.debug("MCP server", { error });
    await client.connect(await this.#openTransport(), { signal });
    return client;
  }

  async #openTransport(): Promise<Transport> {
    const { address, logger } = this.#deps;
    if (address.kind === "url") {
      const requestInit = { headers: { ...address.headers } };
      return new StreamableHTTPClientTransport(address.url, { requestInit });
    }
    const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
    const transport = new StdioClientTransport({
      command: address.command,
      args: [...address.args],
      env: Deno.env.toObject(),
      stderr: "pipe",
    });
    transport.stderr?.on("data", (chunk: Uint8Array) => {
      logger.debug("MCP server", { stderr: safeLine(new TextDecoder().decode(chunk), 1_000) });
    });
    return transport;
  }

  async #tellFacts(client: Client, tools: readonly Tool[]): Promise<void> {
    const server = client.getServerVersion();
    await this.#deps.onFacts({
      name: server?.title ?? server?.name ?? "",
      version: server?.version ?? "",
      instructions: client.getInstructions() ?? "",
      tools,
    });
  }

  async #whenReady(signal: AbortSignal): Promise<Client> {
    using patience = new Patience(READY_TIMEOUT_MS);
    try {
      return await abortable(this.#ready.promise, AbortSignal.any([signal, patience.signal]));
    } catch (error) {
      if (signal.aborted) throw error;
      throw new CodedError("unavailable", "The MCP server behind this agent does not run: try again later");
    }
  }
}

function toStartError(error: unknown, address: ServerAddress): CodedError {
  const [what, check] = address.kind === "url"
    ? [address.url.href, "see that it is right, and whether it wants a --header"]
    : [address.command, "see that the command is on the PATH and speaks MCP on its standard streams"];
  return new CodedError(
    "failed_precondition",
    `The MCP server ${what} does not start: ${errorMessage(error)}; ${check}`,
    { cause: error },
  );
}
