import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import type { AgentCard } from "../../../a2a/mod.ts";
import { resolveConfig } from "../../../core/config.ts";
import type { JsonObject } from "../../../core/json.ts";
import { decodeCard } from "../../../daemon/convert/card.ts";
import { openTrust, type Trust } from "../../../daemon/trust/mod.ts";
import {
  createDidDocument,
  createIdentity,
  didWebToUrl,
  issueCredential,
  keysOfDocument,
} from "../../../identity/mod.ts";
import { tempDir } from "../../support/temp_dir.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const other = createIdentity(new Uint8Array(32).fill(2));

function configOf(home: string, flags: Readonly<Record<string, string>> = {}) {
  return resolveConfig({ flags: { home, ...flags }, env: {}, userHome: home, readFile: () => undefined });
}

/** Trust over documents by URL and TXT records by name. */
function trustOver(documents: Readonly<Record<string, JsonObject | string[]>>): Trust {
  return openTrust(configOf("/nowhere"), {
    identity: me,
    network: {
      fetchBytes: (url) => {
        const found = documents[url];
        return found === undefined
          ? Promise.reject(new Error("404"))
          : Promise.resolve(new TextEncoder().encode(JSON.stringify(found)));
      },
      resolveTxt: (name) => Promise.resolve(documents[name] as string[] ?? []),
    },
  });
}

function cardOf(changes: Partial<AgentCard>): AgentCard {
  return {
    ...decodeCard(new Uint8Array()),
    name: "x",
    peerId: other.peerId,
    didKey: other.didKey,
    ...changes,
  };
}

function credentialFor(subject: string): string {
  const claims = { capabilities: ["translate"] };
  const wanted = { subject, type: "AgentCapabilityCredential", claims, validFromMs: 0 };
  return JSON.stringify(issueCredential(wanted, { identity: me }));
}

Deno.test("check() tells which names of a card are its node's", async () => {
  const [didWeb, didDns] = ["did:web:other.example", "did:dns:other.example"];
  using right = trustOver({
    [didWebToUrl(didWeb)]: createDidDocument(didWeb, { publicKeys: [other.publicKey] }),
    "_did.other.example": [`did=${other.didKey}`],
  });
  const verdicts = async (trust: Trust, card: AgentCard) =>
    (await trust.cards.check(card)).dids.map(({ verdict }) => verdict);
  deepEqual(await verdicts(right, cardOf({ didWeb, didDns })), ["verified", "verified"]);
  using wrong = trustOver({
    [didWebToUrl(didWeb)]: createDidDocument(didWeb, { publicKeys: [me.publicKey] }),
    "_did.other.example": [me.didKey],
  });
  deepEqual(await verdicts(wrong, cardOf({ didWeb, didDns })), ["refuted", "refuted"]);
  using silent = trustOver({});
  deepEqual(await verdicts(silent, cardOf({ didWeb, didDns })), ["unverifiable", "refuted"]);
  deepEqual(await verdicts(silent, cardOf({ didWeb: "did:web:127.0.0.1" })), ["refuted"]);
  deepEqual(await verdicts(silent, cardOf({ didWeb: me.didKey })), ["refuted"]);
});

Deno.test("check() takes a credential about a name only when that is proven to be the agent's", async () => {
  const didWeb = "did:web:other.example";
  const document = createDidDocument(didWeb, { publicKeys: [other.publicKey] });
  const verifiableCredentials = [
    credentialFor(other.didKey),
    credentialFor(didWeb),
    credentialFor(me.didKey),
    "{",
  ];
  const verdicts = async (trust: Trust) =>
    (await trust.cards.check(cardOf({ didWeb, verifiableCredentials }))).credentials.map(({ verdict }) =>
      verdict
    );
  using proven = trustOver({ [didWebToUrl(didWeb)]: document });
  deepEqual(await verdicts(proven), ["valid", "valid", "wrong_subject", "malformed"]);
  using unproven = trustOver({});
  deepEqual(await verdicts(unproven), ["valid", "wrong_subject", "wrong_subject", "malformed"]);
});

Deno.test("check() looks again when the card has changed", async () => {
  using trust = trustOver({});
  const none = await trust.cards.check(cardOf({}));
  equal(await trust.cards.check(cardOf({})), none);
  const some = await trust.cards.check(cardOf({ verifiableCredentials: [credentialFor(other.didKey)] }));
  deepEqual([none.credentials.length, some.credentials.length], [0, 1]);
});

Deno.test("publicDocument() has the documents of the own names, which others resolve to the own key", async () => {
  const did = "did:web:me.example%3A8443:agent";
  const didWba = "did:wba:me.example:wba";
  using trust = openTrust(configOf("/nowhere", { "identity-did-web": did, "identity-did-wba": didWba }), {
    identity: me,
  });
  const document = await trust.publicDocument("/agent/did.json");
  deepEqual(keysOfDocument(did, document!)[0]?.publicKey, me.publicKey);
  deepEqual(document?.alsoKnownAs, [me.didKey, didWba]);
  equal((await trust.publicDocument("/wba/did.json"))?.id, didWba);
  equal(await trust.publicDocument("/.well-known/did.json"), undefined);
  equal(await trust.publicDocument("__proto__"), undefined);
  using peer = trustOver({ [didWebToUrl(did)]: document! });
  deepEqual((await peer.resolver.resolve(did)).keys[0]?.publicKey, me.publicKey);
});

Deno.test("publicDocument() has the list of what is revoked, by which others find it out", async () => {
  await using home = await tempDir();
  const url = "https://me.example/credentials/status/1";
  using trust = openTrust(configOf(home.path, { "identity-status-list-url": url }), { identity: me });
  const issue = () =>
    trust.credentials.issue({ subject: other.didKey, type: "T", claims: {}, validFromMs: 0 }, {
      identity: me,
    }, {
      statusListUrl: url,
    });
  const [kept, revoked] = [await issue(), await issue()];
  await trust.credentials.revoke(String(revoked.id), Date.now());
  const list = await trust.publicDocument("/credentials/status/1");
  ok(list);
  using peer = trustOver({ [url]: list });
  equal((await peer.verifier.verify(JSON.stringify(kept))).verdict, "valid");
  equal((await peer.verifier.verify(JSON.stringify(revoked))).verdict, "revoked");
});

Deno.test("openTrust() refuses names that are none and two documents at one place", () => {
  const bad = [
    { "identity-did-web": "did:web:10.0.0.1" },
    { "identity-did-web": "did:wba:me.example" },
    { "identity-did-wba": "did:web:me.example" },
    { "identity-did-dns-domain": "localhost" },
    { "identity-did-web": "did:web:me.example", "identity-did-wba": "did:wba:me.example" },
    { "identity-status-list-url": "http://me.example/x" },
  ];
  for (const flags of bad) {
    throws(() => openTrust(configOf("/nowhere", flags), { identity: me }), { code: "invalid_argument" });
  }
});

Deno.test("resolve() never fetches the document of a did:web at a private address", async () => {
  let asked = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    asked++;
    return new Response();
  });
  using trust = openTrust(configOf("/nowhere"), { identity: me });
  const failed = await trust.resolver.resolve(`did:web:localhost%3A${server.addr.port}`).catch((error) =>
    error
  );
  equal(failed.code, "permission_denied");
  match(failed.message, /identity\.allow/);
  await rejects(trust.resolver.resolve(`did:web:127.0.0.1%3A${server.addr.port}`), {
    code: "invalid_argument",
  });
  const credential = issueCredential({
    ...{ subject: other.didKey, type: "T", claims: {}, validFromMs: 0 },
    status: { purpose: "revocation", index: 1, listUrl: `https://127.0.0.1:${server.addr.port}/list` },
  }, { identity: me });
  const { verdict, reason } = await trust.verifier.verify(JSON.stringify(credential));
  equal(verdict, "unverifiable");
  match(reason, /identity\.allow/);
  equal(asked, 0);
});
