import { count, duration, flag, list, optionalPath, optionalText, table } from "../setting.ts";
import { CALLERS_SCHEMA, parseCallers } from "./bridge_callers.ts";

/** `[bridge]`: A2A over HTTP and gRPC for clients that are not in the network. */
export const BRIDGE_SETTINGS = {
  enabled: flag(true, "false: nothing of this section is served"),
  listen: optionalText("serve A2A over HTTP on this address, such as 127.0.0.1:8080 (:8080 is loopback)"),
  grpcListen: optionalText("serve A2A over gRPC on this address too, such as 127.0.0.1:8081"),
  publicUrl: optionalText("URL at which clients reach the bridge, when a proxy is in front of it"),
  publicGrpc: optionalText("host:port at which clients reach the gRPC binding, when it is not its address"),
  trustedProxies: list(
    [],
    "addresses and ranges of proxies whose Forwarded and Client-Cert headers are believed",
  ),
  tlsCert: optionalPath("certificate chain (PEM); with tls_key, the bridge speaks HTTPS"),
  tlsKey: optionalPath("private key (PEM) of tls_cert"),
  tlsClientCa: optionalPath("certificate (PEM) that must have signed the certificates of callers"),
  corsOrigins: list([], "origins whose web pages may call the bridge, such as https://app.example; * is all"),
  callers: {
    ...table([], parseCallers, "who may call the bridge, and how each proves it", CALLERS_SCHEMA),
    secret: true,
  },
  tokens: {
    ...list([], "callers as name=token, in short for [[bridge.callers]] with a bearer token", { flag: null }),
    secret: true,
  },
  allowAnonymous: flag(false, "serve callers without credentials on an address that others can reach"),
  webhookAllow: list(
    [],
    "origins, hosts, addresses and ranges that webhooks may have although they are not public",
  ),
  webhookRetryMs: duration(60 * 60 * 1000, "how long a notification to a webhook is tried"),
  maxConnections: count(16_384, "most connections of the bridge at once"),
  maxBodyMib: count(24, "most MiB of a request"),
};
