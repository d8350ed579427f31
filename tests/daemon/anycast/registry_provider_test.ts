import assert from "node:assert/strict";
import { CodedError } from "../../../core/errors.ts";
import { createRegistryProvider } from "../../../daemon/anycast/registry_provider.ts";
import { FactSigner, NO_FACTS } from "../../../daemon/anycast/sign_facts.ts";
import { createIdentity, type RegistryFacts } from "../../../identity/mod.ts";
import { RegistryClient, type RegistryClientDeps } from "../../../registry/mod.ts";

const identityOf = (byte: number) => createIdentity(new Uint8Array(32).fill(byte));
const [agent, other] = [identityOf(1), identityOf(2)];
const FACTS: RegistryFacts = {
  name: "Agent",
  description: "",
  skills: [{ id: "s", description: "", tags: {} }],
  addresses: ["/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.1/tcp/1"],
};
const signal = new AbortController().signal;

function signed(facts: RegistryFacts, by = agent, now = Date.now) {
  return { ...new FactSigner(by, now).sign(facts).signed };
}

/** What a relay answers about a peer, with everything else made up. */
function claim(peerId: string, signedRecord?: ReturnType<typeof signed>) {
  const skills = [{ skillId: "s", description: "made up", tags: {} }];
  return { peerId, agentName: "Made up", skills, verified: true, ...(signedRecord && { signedRecord }) };
}

/** A relay that answers these pages. */
function relayOf(...pages: ReturnType<typeof claim>[][]) {
  const asked: { pageToken: string; limit: number }[] = [];
  const unary = (_method: unknown, request: { pageToken: string; limit: number }) => {
    asked.push(request);
    const page = Number(request.pageToken || 0);
    return Promise.resolve({
      agents: (pages[page] ?? []).map((one) => ({
        ...{ agentDescription: "", addresses: [], viaRelayId: "", signedRecord: undefined },
        ...one,
      })),
      nextPageToken: page + 1 < pages.length ? `${page + 1}` : "",
    });
  };
  const calls = {
    unary,
    stream: () => [],
    [Symbol.dispose]: () => {},
  } as unknown as RegistryClientDeps["calls"];
  return { client: new RegistryClient({ calls }), asked };
}

Deno.test("find() believes what a peer signed and nothing that a relay makes up", async () => {
  const forged = signed(FACTS);
  forged.payload = new TextEncoder().encode(
    new TextDecoder().decode(forged.payload).replace("Agent", "Agenz"),
  );
  const { client } = relayOf([
    claim(agent.peerId, signed(FACTS)),
    claim(other.peerId, signed(FACTS)),
    claim(other.peerId, forged),
    claim(other.peerId, signed(NO_FACTS, other)),
    claim(other.peerId, signed(FACTS, other, () => Date.now() - 2 * 60 * 60 * 1000)),
    claim("12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"),
  ]);
  const provider = createRegistryProvider({ name: "registry r", client, isOnThisMachine: () => false });
  const found = await provider.find({ skill: "s" }, { signal });
  assert.deepEqual(
    found.map(({ peerId, name, verified, via }) => [peerId, name, verified, via]),
    [
      [agent.peerId, "Agent", true, ["registry r"]],
      ["12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN", "Made up", false, ["registry r"]],
    ],
  );
  assert.deepEqual(found[0]?.addresses, ["/ip4/192.0.2.1/tcp/1"], "loopback is that of another machine");
});

Deno.test("find() answers nobody when the peer is no registry, and throws when it cannot be asked", async () => {
  const errors = { unimplemented: "no such protocol", unavailable: "down" } as const;
  const find = (code: keyof typeof errors) => {
    const client = { find: () => Promise.reject(new CodedError(code, errors[code])) };
    return createRegistryProvider({ name: "r", client, isOnThisMachine: () => true }).find({}, { signal });
  };
  assert.deepEqual(await find("unimplemented"), []);
  await assert.rejects(find("unavailable"), { code: "unavailable" });
});

Deno.test("find() reads page after page, up to the limit", async () => {
  const page = Array.from({ length: 3 }, (_, i) => claim(`p${i}`));
  const { client, asked } = relayOf(page, page, page);
  const provider = createRegistryProvider({ name: "registry r", client, isOnThisMachine: () => true });
  assert.equal((await provider.find({ skill: "s", limit: 100 }, { signal })).length, 9);
  assert.deepEqual(asked.map(({ pageToken, limit }) => [pageToken, limit]), [["", 100], ["1", 97], [
    "2",
    94,
  ]]);
  assert.equal((await provider.find({ skill: "s", limit: 5 }, { signal })).length, 6);
});
