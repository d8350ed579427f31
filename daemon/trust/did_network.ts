import type { Config } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";
import { createResolveTxtOverHttps, createSafeFetch, resolveTxtBySystem } from "../../http/mod.ts";
import type { DidNetwork } from "../../identity/mod.ts";

const TIMEOUT_MS = 10_000;

/**
 * The network for DIDs and status lists: https: only, and only public addresses but for those that `[identity] allow` names.
 * Disposing of it closes its connections.
 */
export function openDidNetwork(config: Config["identity"]): DidNetwork & Disposable {
  const { allow, dnsOverHttps } = config;
  const limits = { setting: "identity.allow", httpsOnly: true, timeoutMs: TIMEOUT_MS };
  const fetch = createSafeFetch({ ...limits, allow });
  // Who configures a DNS server means it, wherever it is.
  const dnsFetch = createSafeFetch({
    ...limits,
    allow: dnsOverHttps === undefined ? [] : [new URL(dnsOverHttps).origin],
  });
  return {
    fetchBytes: async (url, { maxBytes, signal }) => {
      const response = await fetch(url, {
        headers: {
          accept: "application/did+json, application/did+ld+json, application/vc, application/json",
        },
        maxBytes,
        ...signal && { signal },
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.status === 200) return bytes;
      throw new CodedError("unavailable", `${url} answered with status ${response.status}`);
    },
    resolveTxt: dnsOverHttps === undefined
      ? resolveTxtBySystem
      : createResolveTxtOverHttps(dnsOverHttps, dnsFetch),
    [Symbol.dispose]() {
      fetch[Symbol.dispose]();
      dnsFetch[Symbol.dispose]();
    },
  };
}
