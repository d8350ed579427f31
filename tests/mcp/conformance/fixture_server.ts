import { createLogger } from "../../../core/log.ts";
import { createMcpEndpoint, MCP_PATH } from "../../../mcp/mod.ts";
import { createFixtureService } from "./fixture_service.ts";

/** Serves the fixture on a free port of the loopback and prints `URL=<url>`, until its stdin ends. */
if (import.meta.main) {
  const logger = createLogger({ level: "warn", write: (line) => console.error(line) });
  await using endpoint = createMcpEndpoint({ service: createFixtureService(), logger });
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => endpoint.fetch(request),
  );
  console.log(`URL=http://127.0.0.1:${server.addr.port}${MCP_PATH}`);
  await Deno.stdin.readable.pipeTo(new WritableStream());
}
