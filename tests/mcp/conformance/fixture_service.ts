import {
  completable,
  createRequestStateCodec,
  InMemoryServerEventBus,
  McpServer,
  ResourceTemplate,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import type { McpService } from "../../../mcp/mod.ts";
import { type FixtureState, registerInputTools } from "./fixture_input_tools.ts";
import { PNG, registerAskingTools, registerContentTools, registerTalkingTools } from "./fixture_tools.ts";

/** What the official conformance suite expects of a server, on the transports and sessions of the product. */
export function createFixtureService(): McpService {
  const changes = new InMemoryServerEventBus();
  const state = createRequestStateCodec<FixtureState>({ key: crypto.getRandomValues(new Uint8Array(32)) });
  return {
    changes,
    createServer: () => {
      const server = new McpServer({ name: "conformance-fixture", version: "1.0.0" }, {
        capabilities: {
          tools: { listChanged: true },
          prompts: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          completions: {},
          logging: {},
        },
        requestState: { verify: (wire, context) => state.verify(wire, context) },
      });
      registerContentTools(server);
      registerTalkingTools(server, changes);
      registerAskingTools(server);
      registerInputTools(server, state);
      registerResources(server);
      registerPrompts(server);
      return server;
    },
  };
}

function registerResources(server: McpServer): void {
  const fixed = (name: string, mimeType: string, content: { text: string } | { blob: string }) => {
    const uri = `test://${name}`;
    server.registerResource(name, uri, { description: `The resource ${name}`, mimeType }, () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  };
  fixed("static-text", "text/plain", { text: "This is the content of the static text resource." });
  fixed("static-binary", "image/png", { blob: PNG });
  fixed("watched-resource", "text/plain", { text: "Watched resource content" });
  server.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "A resource for each id", mimeType: "application/json" },
    (uri, { id }) => ({
      contents: [{
        uri: uri.href,
        mimeType: "application/json",
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
      }],
    }),
  );
}

function registerPrompts(server: McpServer): void {
  const user = (text: string) => ({ role: "user" as const, content: { type: "text" as const, text } });
  server.registerPrompt("test_simple_prompt", { description: "Has no arguments" }, () => ({
    messages: [user("This is a simple prompt for testing.")],
  }));
  server.registerPrompt("test_prompt_with_arguments", {
    description: "Has two arguments",
    argsSchema: z.object({
      arg1: completable(
        z.string(),
        (value) => ["paris", "park", "party"].filter((one) => one.startsWith(value)),
      ),
      arg2: z.string(),
    }),
  }, ({ arg1, arg2 }) => ({
    messages: [user(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  }));
  server.registerPrompt("test_prompt_with_embedded_resource", {
    description: "Has a resource in it",
    argsSchema: z.object({ resourceUri: z.string() }),
  }, ({ resourceUri }) => ({
    messages: [
      {
        role: "user",
        content: {
          type: "resource",
          resource: {
            uri: resourceUri,
            mimeType: "text/plain",
            text: "Embedded resource content for testing.",
          },
        },
      },
      user("Please process the embedded resource above."),
    ],
  }));
  server.registerPrompt("test_prompt_with_image", { description: "Has an image in it" }, () => ({
    messages: [
      { role: "user", content: { type: "image", data: PNG, mimeType: "image/png" } },
      user("Please analyze the image above."),
    ],
  }));
}
