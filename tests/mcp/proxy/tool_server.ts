import { acceptedContent, inputRequired, McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";

const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });

/** An MCP server on stdin and stdout with a tool for each thing that can happen. */
function createServer(): McpServer {
  const server = new McpServer({ name: "toolbox", title: "Toolbox", version: "2.3.4" }, {
    capabilities: { tools: { listChanged: true } },
    instructions: "Tools for tests",
  });
  server.registerTool("echo", {
    description: "Says it again",
    inputSchema: z.object({ message: z.string() }),
    annotations: { readOnlyHint: true },
  }, ({ message }) => text(`Echo: ${message}`));
  server.registerTool("add", {
    description: "Adds",
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    outputSchema: z.object({ sum: z.number() }),
  }, ({ a, b }) => ({ ...text(String(a + b)), structuredContent: { sum: a + b } }));
  server.registerTool("everything", { description: "Answers with all kinds of content" }, () => ({
    content: [
      { type: "text", text: "words" },
      { type: "image", data: "AQI=", mimeType: "image/png" },
      { type: "audio", data: "AwQ=", mimeType: "audio/wav" },
      { type: "resource_link", uri: "https://example.com/a.txt", name: "a.txt", mimeType: "text/plain" },
      { type: "resource", resource: { uri: "test://b", mimeType: "text/plain", text: "inside" } },
      { type: "resource", resource: { uri: "test://c.bin", mimeType: "application/x", blob: "BQY=" } },
    ],
  }));
  server.registerTool("fail", { description: "Fails" }, () => ({ ...text("No paper left"), isError: true }));
  server.registerTool("slow", { description: "Tells progress" }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken ?? 0;
    await mcpReq.notify({
      method: "notifications/progress",
      params: { progressToken, progress: 1, total: 2, message: "half done" },
    });
    await new Promise<void>((resolve) => setTimeout(() => resolve(), 20)); // a call whose end comes at once tells no progress
    return text("done");
  });
  server.registerTool("ask", { description: "Asks back" }, ({ mcpReq }) => {
    const schema = z.object({ colour: z.string() });
    const given = acceptedContent(mcpReq.inputResponses, "colour", schema);
    if (given !== undefined) return text(`Painted ${given.colour}`);
    return inputRequired({
      inputRequests: { colour: inputRequired.elicit({ message: "Which colour?", requestedSchema: schema }) },
    });
  });
  server.registerTool("grow", { description: "Adds a tool" }, () => {
    server.registerTool("grown", { description: "Was added" }, () => text("grown"));
    return text("grew");
  });
  server.registerTool("where", { description: "Tells its process" }, () => text(String(Deno.pid)));
  server.registerTool("crash", { description: "Ends the server" }, () => Deno.exit(3));
  return server;
}

if (import.meta.main) serveStdio(() => createServer());
