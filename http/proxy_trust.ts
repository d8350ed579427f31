import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { ClientCertificate, RequestInfo } from "./server.ts";

/** Where a request comes from and how its sender reaches this server, as far as it can be believed. */
export interface Route {
  /** Such as `https://agents.example`. */
  readonly origin: string;
  readonly certificate: ClientCertificate | undefined;
}

/** Reads the headers of proxies, but only of those that are trusted. */
export interface ProxyTrust {
  routeOf(request: Request, info: RequestInfo): Route;
}

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/**
 * @param options.proxies addresses and ranges (CIDR) whose headers are believed. @throws SyntaxError.
 * @param options.publicUrl where the server is reached, whatever a request says.
 */
export function createProxyTrust(
  { proxies, publicUrl }: { proxies: readonly string[]; publicUrl: string | undefined },
): ProxyTrust {
  const ranges = proxies.map(parseRange);
  return {
    routeOf(request, { remoteAddress, clientCertificate }) {
      const isTrusted = ranges.length > 0 && isWithin(remoteAddress, ranges);
      const seen = new URL(request.url).origin;
      return {
        origin: publicUrl ?? (isTrusted ? forwardedOrigin(request.headers, seen) : seen),
        certificate: clientCertificate ?? (isTrusted ? forwardedCertificate(request.headers) : undefined),
      };
    },
  };
}

function parseRange(text: string): Range {
  try {
    if (text.includes("/")) return ipaddr.parseCIDR(text);
    const address = ipaddr.parse(text);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  } catch {
    throw new SyntaxError(`"${text}" is no address or range, such as 10.0.0.0/8`);
  }
}

function isWithin(remoteAddress: string, ranges: readonly Range[]): boolean {
  if (!ipaddr.isValid(remoteAddress)) return false;
  const address = ipaddr.process(remoteAddress);
  return ranges.some(([range, bits]) =>
    address.kind() === range.kind() && address.match([range, bits] as never)
  );
}

/** RFC 7239, else the older headers; the last proxy's word counts. */
function forwardedOrigin(headers: Headers, seen: string): string {
  const forwarded = headers.get("forwarded")?.split(",").at(-1) ?? "";
  const param = (name: string) =>
    new RegExp(`(?:^|;)\\s*${name}\\s*=\\s*"?([^";,\\s]+)"?`, "i").exec(forwarded)?.[1];
  const last = (name: string) => headers.get(name)?.split(",").at(-1)?.trim();
  const url = URL.parse(seen);
  const proto = param("proto") ?? last("x-forwarded-proto") ?? url?.protocol.slice(0, -1);
  const host = param("host") ?? last("x-forwarded-host") ?? url?.host;
  const told = /^https?$/.test(proto ?? "") ? URL.parse(`${proto}://${host}`) : null;
  return told?.origin ?? seen;
}

/** RFC 9440. */
function forwardedCertificate(headers: Headers): ClientCertificate | undefined {
  const encoded = /^:([A-Za-z0-9+/=]+):$/.exec(headers.get("client-cert") ?? "")?.[1];
  if (encoded === undefined) return undefined;
  try {
    const { fingerprint256, subject } = new X509Certificate(Buffer.from(encoded, "base64"));
    const commonName = /(?:^|\n)CN=([^\n]*)/.exec(subject)?.[1] ?? "";
    return { fingerprint: fingerprint256.replaceAll(":", "").toLowerCase(), commonName };
  } catch {
    return undefined; // no certificate
  }
}
