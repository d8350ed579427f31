import {
  type ContentBlock,
  type ElicitRequestFormParams,
  fromJsonSchema,
  type McpServer,
  type ServerContext,
  type ServerEventBus,
} from "@modelcontextprotocol/server";
import { z } from "zod";

/** One red pixel. */
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

const text = (value: string): ContentBlock => ({ type: "text", text: value });
const answer = (...content: ContentBlock[]) => ({ content });
const pause = () => new Promise<void>((resolve) => setTimeout(() => resolve(), 10));

/** Tools that answer with every kind of content. */
export function registerContentTools(server: McpServer): void {
  const tool = (name: string, content: ContentBlock[]) =>
    server.registerTool(name, { description: `Answers as ${name} is to` }, () => answer(...content));
  const resource = (uri: string, mimeType: string, value: string): ContentBlock => ({
    type: "resource",
    resource: { uri, mimeType, text: value },
  });
  tool("test_simple_text", [text("This is a simple text response for testing.")]);
  tool("test_image_content", [{ type: "image", data: PNG, mimeType: "image/png" }]);
  tool("test_audio_content", [{ type: "audio", data: WAV, mimeType: "audio/wav" }]);
  tool("test_embedded_resource", [
    resource("test://embedded-resource", "text/plain", "This is an embedded resource content."),
  ]);
  tool("test_multiple_content_types", [
    text("Multiple content types test:"),
    { type: "image", data: PNG, mimeType: "image/png" },
    resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
  ]);
  server.registerTool("test_error_handling", { description: "Always fails" }, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  server.registerTool("json_schema_2020_12_tool", {
    description: "Has a schema with the newer keywords",
    inputSchema: fromJsonSchema<Record<string, unknown>>({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: { type: "string" }, city: { type: "string" } },
        },
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" },
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false,
    }),
  }, (args) => answer(text(JSON.stringify(args))));
  const region: Readonly<Record<string, string>> = { type: "string", "x-mcp-header": "Region" };
  server.registerTool("test_header_parameter", {
    description: "Has a parameter that goes in a header too",
    inputSchema: fromJsonSchema<Record<string, unknown>>({
      type: "object",
      properties: { region },
      required: ["region"],
    }),
  }, (args) => answer(text(JSON.stringify(args))));
}

/** Tools that say something while they work. */
export function registerTalkingTools(server: McpServer, changes: ServerEventBus): void {
  server.registerTool("test_tool_with_progress", { description: "Reports progress" }, async (context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) {
        await context.mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken, progress, total: 100 },
        });
      }
      await pause();
    }
    return answer(text("Done"));
  });
  const logging = async (context: ServerContext) => {
    for (const line of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await context.mcpReq.log("info", line);
      await pause();
    }
    return answer(text("Done"));
  };
  server.registerTool("test_tool_with_logging", { description: "Logs" }, logging);
  server.registerTool("test_logging_tool", { description: "Logs when asked to" }, logging);
  server.registerTool("test_trigger_tool_change", { description: "Changes the list of tools" }, () => {
    changes.publish({ kind: "tools_list_changed" });
    return answer(text("Changed"));
  });
  server.registerTool("test_trigger_prompt_change", { description: "Changes the list of prompts" }, () => {
    changes.publish({ kind: "prompts_list_changed" });
    return answer(text("Changed"));
  });
}

/** Tools that ask the client back, in the way of revisions before 2026-07-28. */
export function registerAskingTools(server: McpServer): void {
  server.registerTool("test_sampling", {
    description: "Asks the client's model",
    inputSchema: z.object({ prompt: z.string() }),
  }, async ({ prompt }, context) => {
    const { content } = await context.mcpReq.requestSampling({
      messages: [{ role: "user", content: { type: "text", text: prompt } }],
      maxTokens: 100,
    });
    return answer(text(`LLM response: ${JSON.stringify(content)}`));
  });
  server.registerTool("test_elicitation", {
    description: "Asks the client's user",
    inputSchema: z.object({ message: z.string() }),
  }, async ({ message }, context) => {
    const response = await elicit(context, message, {
      type: "object",
      properties: {
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" },
      },
      required: ["username", "email"],
    });
    return answer(text(`User response: ${response}`));
  });
  registerFormTools(server);
}

async function elicit(
  context: ServerContext,
  message: string,
  requestedSchema: ElicitRequestFormParams["requestedSchema"],
): Promise<string> {
  const { action, content } = await context.mcpReq.elicitInput({ message, requestedSchema });
  return `action=${action}, content=${JSON.stringify(content ?? {})}`;
}

function registerFormTools(server: McpServer): void {
  server.registerTool(
    "test_elicitation_sep1034_defaults",
    { description: "Asks with defaults" },
    async (context) => {
      const response = await elicit(context, "Check these fields", {
        type: "object",
        properties: {
          name: { type: "string", default: "John Doe" },
          age: { type: "integer", default: 30 },
          score: { type: "number", default: 95.5 },
          status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
          verified: { type: "boolean", default: true },
        },
      });
      return answer(text(`Elicitation completed: ${response}`));
    },
  );
  server.registerTool(
    "test_elicitation_sep1330_enums",
    { description: "Asks for choices" },
    async (context) => {
      const options = ["option1", "option2", "option3"];
      const titled = [
        { const: "value1", title: "First Option" },
        { const: "value2", title: "Second Option" },
        { const: "value3", title: "Third Option" },
      ];
      const response = await elicit(context, "Choose", {
        type: "object",
        properties: {
          untitledSingle: { type: "string", enum: options },
          titledSingle: { type: "string", oneOf: titled },
          legacyEnum: {
            type: "string",
            enum: ["opt1", "opt2", "opt3"],
            enumNames: ["Option One", "Option Two", "Option Three"],
          },
          untitledMulti: { type: "array", items: { type: "string", enum: options } },
          titledMulti: { type: "array", items: { anyOf: titled } },
        },
      });
      return answer(text(`Elicitation completed: ${response}`));
    },
  );
}
