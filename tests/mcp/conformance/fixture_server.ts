import { createLogger } from "../../../core/log.ts";
import { startHttpServer } from "../../../http/mod.ts";
import { createMcpEndpoint, MCP_PATH } from "../../../mcp/mod.ts";
import { createFixtureService } from "./fixture_service.ts";

/** Serves the fixture on a free port of the loopback and prints `URL=<url>`, until its stdin ends. */
if (import.meta.main) {
  const logger = createLogger({ level: "warn", write: (line) => console.error(line) });
  await using endpoint = createMcpEndpoint({ service: createFixtureService(), logger });
  await using server = await startHttpServer({ fetch: (request) => endpoint.fetch(request), logger }, {
    listen: "127.0.0.1:0",
    graceMs: 0,
  });
  console.log(`URL=${server.url}${MCP_PATH}`);
  await Deno.stdin.readable.pipeTo(new WritableStream());
}
