import { EXIT_OK } from "../exit_codes.ts";
import { changeFile, withoutServer } from "../mcp_client_file.ts";
import { findMcpClient, type McpInstallOptions } from "../mcp_install.ts";
import type { VerbContext } from "../verb.ts";

/** Takes this program out of the MCP servers of an assistant. */
export async function run(context: VerbContext<McpInstallOptions>): Promise<number> {
  const { args: [id = ""], options, output } = context;
  const { client, file } = findMcpClient(id, options);
  const change = await changeFile(file, (text) => withoutServer(text, [client.key, options.name]));
  output.result({ client: client.id, file, ...change }, () => [
    change.changed
      ? `${client.title} does not have the MCP server "${options.name}" any more: ${file}`
      : `Nothing to do: ${file} does not have it`,
    ...(change.backup === undefined ? [] : [`What was there before: ${change.backup}`]),
  ]);
  return EXIT_OK;
}
