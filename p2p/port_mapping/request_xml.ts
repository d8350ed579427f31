import { request } from "node:http";

/** Longest document taken from a router. */
const MAX_BYTES = 256 * 1024;

/** What is sent; a GET without a body. */
export interface XmlRequest {
  /** Own address to ask from. */
  from: string;
  body?: string;
  headers?: Readonly<Record<string, string>>;
}

/**
 * Asks a router over plain HTTP, past all proxies and redirects. Rejects with the reason of `signal`, when nobody answers,
 * and for an answer of more than 256 KiB.
 */
export function requestXml(
  url: URL,
  { from, body, headers }: XmlRequest,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method: body === undefined ? "GET" : "POST",
      localAddress: from,
      agent: false,
      signal,
      headers: { ...headers, connection: "close" },
    }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) {
          response.destroy(new Error(`it answers with more than ${MAX_BYTES} bytes`));
        }
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    call.end(body);
  });
}
