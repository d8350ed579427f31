import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Context, Hono } from "hono";
import type { JsonObject } from "../../core/json.ts";
import { cardKeyId, createDidDocument, type Identity } from "../../identity/mod.ts";
import type { A2aVersion } from "../a2a_api/a2a_call.ts";
import { type BridgeAppDeps, type BridgeEnv, targetOf } from "./bridge_app.ts";
import { restError } from "./rest.ts";
import { readVersion } from "../a2a_api/read_version.ts";

/** Documents besides agent cards; each answers undefined where there is none. */
export interface DiscoveryDocuments {
  identity: Identity;
  /** What everybody may read of this node, by the path of its URL. */
  publicDocument: (pathname: string) => Promise<JsonObject | undefined>;
}

/** How long clients may go by a document without asking again, in seconds. */
const MAX_AGE_S = 300;
const CARD_PATHS = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

type BridgeContext = Context<BridgeEnv>;

/** Adds the documents by which clients find agents. They are public, also where calls need credentials. */
export function addDiscovery(app: Hono<BridgeEnv>, deps: BridgeAppDeps): void {
  const { cards, documents, proxies } = deps;
  const originOf = (c: BridgeContext) => proxies.routeOf(c.req.raw, c.env.info).origin;
  const answering = (make: (c: BridgeContext) => Promise<Response>) => async (c: BridgeContext) => {
    try {
      return await make(c);
    } catch (error) {
      return restError(deps, error, { version: "1.0" });
    }
  };
  for (const base of ["", "/agents/:peer", "/skills/:skill"]) {
    for (const path of CARD_PATHS) {
      app.get(
        base + path,
        answering(async (c) => {
          const version: A2aVersion = readVersion(c.req.header("a2a-version"), "0.3");
          const { json, changedAtMs } = await cards.serve(targetOf(c), { origin: originOf(c), version });
          return cacheable(c, { json, changedAtMs });
        }),
      );
    }
    app.get(
      `${base}/.well-known/a2a-agent-card`,
      answering(async (c) => {
        return cacheable(c, { json: JSON.stringify(await cards.flat(targetOf(c), originOf(c))) });
      }),
    );
  }
  app.get(
    "/.well-known/jwks.json",
    (c) => cacheable(c, { json: JSON.stringify(jwksOf(documents.identity)) }),
  );
  app.get(
    "/.well-known/did.json",
    answering(async (c) => {
      const { pathname } = new URL(c.req.url);
      const document = await documents.publicDocument(pathname) ??
        ownDidDocument(documents.identity, originOf(c));
      return cacheable(c, { json: JSON.stringify(document) });
    }),
  );
  app.get(
    "/.well-known/ai-catalog.json",
    answering(async (c) => {
      const card = await cards.cardOf({ kind: "self" });
      return cacheable(c, { json: JSON.stringify(catalogOf(documents.identity, originOf(c), card?.name)) });
    }),
  );
}

/** An answer that clients may keep, or 304 when they have it already. */
function cacheable(
  c: BridgeContext,
  { json, changedAtMs }: { json: string; changedAtMs?: number },
): Response {
  const etag = `"${createHash("sha256").update(json).digest("base64url").slice(0, 27)}"`;
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "cache-control": `public, max-age=${MAX_AGE_S}`,
    etag,
    vary: "A2A-Version, Accept-Encoding",
    ...(changedAtMs !== undefined && { "last-modified": new Date(changedAtMs).toUTCString() }),
  };
  const match = c.req.header("if-none-match");
  const since = Date.parse(c.req.header("if-modified-since") ?? "");
  const isKnown = match === undefined
    ? changedAtMs !== undefined && since >= Math.floor(changedAtMs / 1000) * 1000
    : match.split(",").some((one) => one.trim().replace(/^W\//, "") === etag || one.trim() === "*");
  return isKnown ? new Response(null, { status: 304, headers }) : new Response(json, { headers });
}

/** The key that signs cards and notifications (RFC 8037). */
function jwksOf(identity: Identity): JsonObject {
  const x = Buffer.from(identity.publicKey).toString("base64url");
  return { keys: [{ kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig", kid: cardKeyId(identity), x }] };
}

/** The document of the did:web that follows from where this node is reached, when the configuration names no other. */
function ownDidDocument({ publicKey, didKey }: Identity, origin: string): JsonObject {
  return createDidDocument(`did:web:${encodeURIComponent(new URL(origin).host)}`, {
    publicKeys: [publicKey],
    alsoKnownAs: [didKey],
    services: [{ name: "a2a", type: "A2A", serviceEndpoint: `${origin}/.well-known/agent-card.json` }],
  });
}

/** What is offered here, for catalogs of AI. */
function catalogOf({ peerId }: Identity, origin: string, name: string | undefined): JsonObject {
  const entry = {
    identifier: `urn:air:${peerId}`,
    displayName: name ?? "",
    type: "application/a2a-agent-card+json",
    url: `${origin}/.well-known/agent-card.json`,
  };
  return { specVersion: "1.0", entries: name === undefined ? [] : [entry] };
}
