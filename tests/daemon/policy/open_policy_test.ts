import { systemClock } from "../../../core/clock.ts";
import { silentMeter } from "../../../core/meter.ts";
import { deepEqual, equal } from "node:assert/strict";
import type { AgentCard } from "../../../a2a/mod.ts";
import { resolveConfig } from "../../../core/config.ts";
import { silentLogger } from "../../../core/log.ts";
import { decodeCard } from "../../../daemon/convert/card.ts";
import { openPolicy } from "../../../daemon/policy/mod.ts";
import { createIdentity, issueCredential, parseCredential } from "../../../identity/mod.ts";

const [me, peer, issuer, nobody] = [1, 2, 3, 4].map((n) => createIdentity(new Uint8Array(32).fill(n))) as [
  ReturnType<typeof createIdentity>,
  ReturnType<typeof createIdentity>,
  ReturnType<typeof createIdentity>,
  ReturnType<typeof createIdentity>,
];

function credentialBy(identity: typeof issuer): string {
  return JSON.stringify(
    issueCredential({ subject: peer.didKey, type: "T", claims: {}, validFromMs: 0 }, { identity }),
  );
}

const card: AgentCard = {
  ...decodeCard(new Uint8Array()),
  peerId: peer.peerId,
  didWeb: "did:web:peer.example",
  didDns: "did:dns:peer.example",
  verifiableCredentials: [credentialBy(issuer), credentialBy(nobody), "{"],
};

/** What the policy by `acl` has checked of the card when the peer sends a task, and whether it is taken. */
async function checkedBy(acl: string, cardOf = () => Promise.resolve<AgentCard | undefined>(card)) {
  const checked: AgentCard[] = [];
  const config = resolveConfig({
    flags: { home: "/h" },
    env: {},
    userHome: "/h",
    readFile: () => `policy.acl = [${acl}]`,
  });
  using policy = openPolicy(config, {
    clock: systemClock,
    metrics: { meter: silentMeter },
    identity: me,
    host: () => ({ peers: () => [] }),
    cardOf,
    trust: {
      cards: {
        check: (card: AgentCard) => {
          checked.push(card);
          return Promise.resolve({
            signed: true,
            dids: [card.didWeb].filter(Boolean).map((did) => ({
              did,
              verdict: "verified" as const,
              reason: "",
            })),
            credentials: card.verifiableCredentials.map((text) => (
              { verdict: "valid" as const, reason: "", claims: parseCredential(text) }
            )),
          });
        },
      } as never,
    },
    logger: silentLogger,
  });
  const refusal = await policy.admit({
    peerId: peer.peerId,
    taskId: "t",
    skillId: "",
    isNew: true,
    openTasks: 0,
  });
  const [seen] = checked;
  return {
    taken: refusal === undefined,
    names: seen && [seen.didWeb, seen.didDns].filter(Boolean),
    credentials: seen?.verifiableCredentials.length,
  };
}

Deno.test("openPolicy() looks nothing up that no rule asks about", async () => {
  deepEqual(await checkedBy(`{ source = "${peer.peerId}", allow = true }`), {
    ...{ taken: true, names: undefined, credentials: undefined },
  });
  deepEqual(await checkedBy(`{ source = "did:web:peer.example", allow = true }`), {
    ...{ taken: true, names: ["did:web:peer.example"], credentials: 0 },
  });
  deepEqual(await checkedBy(`{ source = "did:web:other.example", allow = true }`), {
    ...{ taken: false, names: [], credentials: 0 },
  });
});

Deno.test("openPolicy() checks credentials by those alone whom a rule trusts, and then the names they may be about", async () => {
  deepEqual(await checkedBy(`{ credential = { issuer = "${issuer.didKey}" }, allow = true }`), {
    ...{ taken: true, names: ["did:web:peer.example", "did:dns:peer.example"], credentials: 1 },
  });
  deepEqual(await checkedBy(`{ credential = { issuer = "${me.didKey}" }, allow = true }`), {
    ...{ taken: false, names: [], credentials: 0 },
  });
});

Deno.test("openPolicy() goes by the id alone when the card cannot be had", async () => {
  const acl = `{ source = "did:web:peer.example", allow = true }`;
  equal((await checkedBy(acl, () => Promise.resolve(undefined))).taken, false);
  equal((await checkedBy(acl, () => Promise.reject(new Error("gone")))).taken, false);
  const byKey = `{ source = "did:web:*", allow = false }, { source = "${peer.didKey}", allow = true }`;
  equal((await checkedBy(byKey, () => Promise.reject(new Error("gone")))).taken, true);
});
