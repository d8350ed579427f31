/**
/**
 * HTTP in and out: the server under every HTTP wire, and requests to URLs that strangers may have chosen. Knows bytes and
 * requests, not tasks. Imports `core/` only; whoever starts a server closes it.
 *
 * @module
 */
export { checkWrittenAddress, parseAllowList, type ResolveHost } from "./address_guard.ts";
export { addressKind } from "./address_kind.ts";
export { contentDigest, isContentDigest } from "./content_digest.ts";
export { parseHostPort } from "./host_port.ts";
export {
  readSignature,
  type RequestSignature,
  type RequestSigner,
  type SignableRequest,
  signRequest,
} from "./message_signature.ts";
export type { TlsFiles } from "./pinned_request.ts";
export { createProxyTrust, type ProxyTrust, type Route } from "./proxy_trust.ts";
export {
  createSafeFetch,
  type Reach,
  type SafeFetch,
  type SafeFetchInit,
  type SafeFetchOptions,
} from "./safe_fetch.ts";
export {
  type ClientCertificate,
  type HttpHandler,
  type HttpLimits,
  type HttpServer,
  type HttpServerDeps,
  type HttpServerOptions,
  type RequestInfo,
  type ServerTls,
  startHttpServer,
} from "./server.ts";
export { createResolveTxtOverHttps, type ResolveTxt, resolveTxtBySystem } from "./resolve_txt.ts";
export { counted } from "./counted.ts";
export type { Prometheus } from "./prometheus.ts";
export type { OtlpOptions, OtlpTracer } from "./otlp.ts";

/** OpenTelemetry, loaded when it is first wanted. */
export const loadOtlp = () => import("./otlp.ts");

/** Prometheus, loaded when it is first wanted. */
export const loadPrometheus = () => import("./prometheus.ts");
