import { resolve } from "node:path";
import { CodedError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { changeFile, withServer } from "../mcp_client_file.ts";
import { findMcpClient, type McpInstallOptions } from "../mcp_install.ts";
import type { VerbContext } from "../verb.ts";

/** Adds this program to the MCP servers of an assistant. */
export async function run(context: VerbContext<McpInstallOptions>): Promise<number> {
  const { args: [id = ""], options, output } = context;
  const { client, file } = findMcpClient(id, options);
  const server = toServer(options, client.extra);
  const place = [client.key, options.name] as const;
  if (options.print) {
    output.print(JSON.stringify({ [client.key]: { [options.name]: server } }, undefined, 2));
    return EXIT_OK;
  }
  const change = await changeFile(file, (text) => withServer(text, place, server));
  output.result({ client: client.id, file, ...change }, () => [
    change.changed
      ? `${client.title} now has the MCP server "${options.name}": ${file}`
      : `Nothing to do: ${file} has it`,
    ...(change.backup === undefined ? [] : [`What was there before: ${change.backup}`]),
    client.then,
  ]);
  return EXIT_OK;
}

/** What starts this program as an MCP server, wherever the assistant runs it from. */
function toServer(options: McpInstallOptions, extra: Readonly<Record<string, string>> = {}): JsonObject {
  const { home, config, relay = [] } = options;
  const args = [
    "mcp",
    ...(home === undefined ? [] : ["--home", resolve(home)]),
    ...(config === undefined ? [] : ["--config", resolve(config)]),
    ...relay.flatMap((address) => ["--relay", address]),
  ];
  return { ...extra, ...toCommand(options.command, args) };
}

/** The command: an executable is named by its path, a run from source by Deno's with the main module. */
function toCommand(
  command: string | undefined,
  args: readonly string[],
): { command: string; args: string[] } {
  if (command !== undefined) return { command, args: [...args] };
  const executable = Deno.env.get("AGENTANYCAST_SELF");
  if (executable) return { command: executable, args: [...args] };
  if (Deno.build.standalone) return { command: Deno.execPath(), args: [...args] };
  const main = Deno.mainModule;
  if (!main.startsWith("file:")) {
    throw new CodedError(
      "failed_precondition",
      `Cannot tell how ${main} is started: name its command with --command`,
    );
  }
  return { command: Deno.execPath(), args: ["run", "-A", new URL(main).pathname, ...args] };
}
