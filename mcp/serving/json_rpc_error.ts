/** A refusal of a whole HTTP request, in the form that MCP clients read. */
export function jsonRpcError(
  status: number,
  message: string,
  { code = -32000, headers = {} }: { code?: number; headers?: Readonly<Record<string, string>> } = {},
): Response {
  return Response.json({ jsonrpc: "2.0", id: null, error: { code, message } }, { status, headers });
}
