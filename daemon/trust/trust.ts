import type { Config } from "../../core/config.ts";
import { CodedError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import { KeyedLock } from "../../core/keyed_lock.ts";
import {
  addProof,
  createDidDocument,
  createDidResolver,
  CredentialFolder,
  CredentialVerifier,
  didDnsName,
  type DidNetwork,
  type DidResolver,
  didWebToUrl,
  type Identity,
  type Issuer,
  issueStatusList,
  parseDid,
  signBytes,
} from "../../identity/mod.ts";
import type { RequestSigner } from "../../http/mod.ts";
import type { CardAdditions } from "../cards.ts";
import { CardChecker } from "./card_checker.ts";
import { openDidNetwork } from "./did_network.ts";

/** The names of this node's agent besides its did:key; empty texts for those it has not. */
export interface OwnDids {
  readonly didWeb: string;
  readonly didWba: string;
  readonly didDns: string;
}

/** Who others are, and who this node is to them. */
export interface Trust extends Disposable {
  readonly dids: OwnDids;
  readonly resolver: DidResolver;
  readonly verifier: CredentialVerifier;
  readonly cards: CardChecker;
  readonly credentials: CredentialFolder;
  /** What this node adds to the card of its agent. */
  cardAdditions(): Promise<CardAdditions>;
  /**
   * What everybody may read of this node over HTTP, by the path of its URL: its DID documents, and the list of the
   * credentials that it has revoked. Undefined where there is nothing.
   */
  publicDocument(pathname: string): Promise<JsonObject | undefined>;
}

export interface TrustDeps {
  identity: Identity;
  /** Default: over HTTPS and DNS, as the settings say. */
  network?: DidNetwork;
}

/** How long a signed status list is handed out before the credentials are looked at again, in milliseconds. */
const KEEP_LIST_MS = 5_000;

/** The {@link Trust} of a daemon. @throws CodedError `invalid_argument` for names in the settings that are none. */
export function openTrust(config: Config, deps: TrustDeps): Trust {
  const { identity } = deps;
  const dids = ownDids(config.identity);
  const opened = deps.network === undefined ? openDidNetwork(config.identity) : undefined;
  const network = deps.network ?? opened as DidNetwork;
  const resolver = createDidResolver(network);
  const verifier = new CredentialVerifier({ resolver, network });
  const credentials = new CredentialFolder(config.home);
  const documents = new Map<string, () => Promise<JsonObject>>();
  for (const did of [dids.didWeb, dids.didWba]) {
    if (did === "") continue;
    const document = ownDocument(did, { identity, dids });
    documents.set(new URL(didWebToUrl(did)).pathname, () => Promise.resolve(document));
  }
  const { statusListUrl } = config.identity;
  if (statusListUrl !== undefined) {
    const list = statusListOf(credentials, { url: statusListUrl, issuer: ownIssuer(identity) });
    documents.set(new URL(statusListUrl).pathname, list);
  }
  return {
    dids,
    resolver,
    verifier,
    credentials,
    cards: new CardChecker({ resolver, verifier }),
    cardAdditions: async () => ({ ...dids, credentials: await credentials.held() }),
    publicDocument: (pathname) => documents.get(pathname)?.() ?? Promise.resolve(undefined),
    [Symbol.dispose]: () => opened?.[Symbol.dispose](),
  };
}

/** Credentials of this node are by its did:key, whatever other names it has: it needs nobody to be verified. */
export function ownIssuer(identity: Identity): Issuer {
  return { identity };
}

/** Signs requests of this node by its most public name: the did:wba, else the did:web, else the did:key. */
export function ownSigner(identity: Identity, { didWba, didWeb }: OwnDids): RequestSigner {
  const { didKey } = identity;
  const did = didWba || didWeb;
  const keyId = did === "" ? `${didKey}#${didKey.slice("did:key:".length)}` : `${did}#key-1`;
  return { keyId, sign: (bytes) => signBytes(identity, bytes) };
}

function ownDids({ didWeb = "", didWba = "", didDnsDomain, statusListUrl }: Config["identity"]): OwnDids {
  const didDns = didDnsDomain === undefined ? "" : `did:dns:${didDnsDomain}`;
  if (didWeb !== "") checkMethod(didWeb, "web", "identity.did_web");
  if (didWba !== "") checkMethod(didWba, "wba", "identity.did_wba");
  if (didDns !== "") didDnsName(didDns);
  if (didWeb !== "" && didWba !== "" && didWebToUrl(didWeb) === didWebToUrl(didWba)) {
    throw new CodedError(
      "invalid_argument",
      `identity.did_web and identity.did_wba have their documents at the same place, ${
        didWebToUrl(didWeb)
      }: ` +
        "give one of them another path",
    );
  }
  if (statusListUrl !== undefined && URL.parse(statusListUrl)?.protocol !== "https:") {
    throw new CodedError(
      "invalid_argument",
      `identity.status_list_url has to be an https: URL, got ${statusListUrl}`,
    );
  }
  return { didWeb, didWba, didDns };
}

function checkMethod(did: string, method: string, setting: string): void {
  didWebToUrl(did);
  if (parseDid(did).method === method) return;
  throw new CodedError("invalid_argument", `${setting} has to be a did:${method}, got ${did}`);
}

/** The document at one of the own names, signed by the key that it names. */
function ownDocument(did: string, { identity, dids }: { identity: Identity; dids: OwnDids }): JsonObject {
  const others = [identity.didKey, dids.didWeb, dids.didWba, dids.didDns];
  const document = createDidDocument(did, {
    publicKeys: [identity.publicKey],
    alsoKnownAs: others.filter((one) => one !== "" && one !== did),
  });
  return addProof(document, { identity, verificationMethod: `${did}#key-1`, createdMs: Date.now() });
}

function statusListOf(
  credentials: CredentialFolder,
  { url, issuer }: { url: string; issuer: Issuer },
): () => Promise<JsonObject> {
  let kept: { untilMs: number; state: string; list: JsonObject } | undefined;
  const lock = new KeyedLock();
  return () =>
    lock.run("list", async () => {
      const nowMs = Date.now();
      if (kept !== undefined && nowMs < kept.untilMs) return kept.list;
      // Of many credentials the list takes long to make: not again while nothing has changed.
      const state = await credentials.issuedState();
      const list = kept?.state === state
        ? kept.list
        : await issueStatusList({ url, bits: await credentials.statusBits(), nowMs }, issuer);
      kept = { untilMs: nowMs + KEEP_LIST_MS, state, list };
      return list;
    });
}
