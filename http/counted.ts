import type { HttpHandler } from "./server.ts";

/** `handler`, with `onAnswer` told how each request ended: `error` is the server's fault, status 500 and above. */
export function counted(handler: HttpHandler, onAnswer: (status: "ok" | "error") => void): HttpHandler {
  return async (request, info) => {
    try {
      const response = await handler(request, info);
      onAnswer(response.status < 500 ? "ok" : "error");
      return response;
    } catch (error) {
      onAnswer("error");
      throw error;
    }
  };
}
