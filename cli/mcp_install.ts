import { resolve } from "node:path";
import { CodedError } from "../core/errors.ts";
import { MCP_CLIENTS, type McpClient } from "./mcp_clients.ts";
import type { GlobalOptions } from "./verb.ts";

/** Options of installing and uninstalling. */
export interface McpInstallOptions extends GlobalOptions {
  /** What the server is called at the assistant. */
  readonly name: string;
  readonly file?: string;
  readonly print?: boolean;
  readonly command?: string;
}

/** The assistant `id` and its file. Throws `invalid_argument`. */
export function findMcpClient(id: string, { file }: McpInstallOptions): { client: McpClient; file: string } {
  const client = MCP_CLIENTS.find((one) => one.id === id);
  if (client === undefined) {
    const known = MCP_CLIENTS.map((one) => one.id).join(", ");
    throw new CodedError(
      "invalid_argument",
      `"${id}" is no assistant that is known here: name one of ${known}`,
    );
  }
  if (file !== undefined) return { client, file: resolve(file) };
  const env = Deno.env.toObject();
  const home = env.HOME ?? env.USERPROFILE;
  if (!home) {
    throw new CodedError("failed_precondition", "There is no home directory: name the file with --file");
  }
  const where = { os: Deno.build.os, home, appData: env.APPDATA, xdgConfig: env.XDG_CONFIG_HOME };
  return { client, file: client.file(where) };
}
