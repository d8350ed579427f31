import { CodedError, errorMessage } from "../core/errors.ts";
import type { RelayConfig } from "../core/settings/relay.ts";

/** PEM texts of the servers of a relay. */
export interface RelayTls {
  readonly cert: string;
  readonly key: string;
}

/** The certificates and key that the configuration names; undefined for plain servers. Throws `invalid_argument`. */
export async function readTls({ tlsCert, tlsKey }: RelayConfig): Promise<RelayTls | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new CodedError(
      "invalid_argument",
      "TLS needs both --tls-cert and --tls-key: give the other one too",
    );
  }
  return { cert: await readPem(tlsCert, "--tls-cert"), key: await readPem(tlsKey, "--tls-key") };
}

/** The authorities to trust for relays that are spoken to over TLS; undefined for those of the system. Throws `invalid_argument`. */
export async function readFederationCa({ federationCa }: RelayConfig): Promise<string | undefined> {
  return federationCa === undefined ? undefined : await readPem(federationCa, "--federation-ca");
}

async function readPem(path: string, flag: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new CodedError("invalid_argument", `Cannot read ${flag} ${path}: ${errorMessage(cause)}`, {
      cause,
    });
  }
}
