import { CodedError } from "../core/errors.ts";

/** Where to listen: `:8080` is loopback, `0.0.0.0:8080` every interface. @throws CodedError `invalid_argument`. */
export function parseHostPort(listen: string): { hostname: string; port: number } {
  const [, v6, host = "", digits = ""] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(listen) ??
    [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) {
    throw new CodedError(
      "invalid_argument",
      `Cannot listen on "${listen}": write host:port, such as 127.0.0.1:8080`,
    );
  }
  return { hostname: v6 ?? (host || "127.0.0.1"), port };
}
