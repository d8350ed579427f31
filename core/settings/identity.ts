import { list, optionalText } from "../setting.ts";

/** `[identity]`: the names of this agent besides its key, and how those of others are looked up. */
export const IDENTITY_SETTINGS = {
  didWeb: optionalText("did:web of this agent, such as did:web:example.com; the bridge serves its document", {
    env: "AGENTANYCAST_DID_WEB",
  }),
  didWba: optionalText("did:wba of this agent, such as did:wba:example.com; the bridge serves its document"),
  didDnsDomain: optionalText("domain with the TXT record _did.<domain> that names this agent's did:key", {
    env: "AGENTANYCAST_DID_DNS_DOMAIN",
  }),
  statusListUrl: optionalText(
    "https: URL under which others read which credentials of this node are revoked; the bridge serves it",
  ),
  dnsOverHttps: optionalText(
    "URL of a DNS resolver over HTTPS (RFC 8484) for did:dns; default the system's DNS",
  ),
  allow: list(
    [],
    "hosts, addresses and ranges that are not public, from which DID documents and status lists are fetched all the same",
  ),
};
