import { generateAgentCardSignature, verifyAgentCardSignature } from "@a2a-js/sdk";
import { equal, rejects, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import { createSigningKey } from "../../identity/identity.ts";
import {
  createIdentity,
  fromDidKey,
  publicKeyFromPeerId,
  signA2aCard,
  verifyA2aCard,
} from "../../identity/mod.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const card = {
  name: "Écho 🦜",
  description: "",
  version: "1.0.0",
  supportedInterfaces: [{ url: "https://a.example/rpc", protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
  capabilities: { streaming: true },
  defaultInputModes: ["text/plain"],
  defaultOutputModes: ["text/plain"],
  skills: [{ id: "echo", name: "Echo", description: "Says it again", tags: ["b", "a"] }],
};

const keyOf = (kid: string) => publicKeyFromPeerId(fromDidKey(kid.split("#")[0] ?? ""));

Deno.test("signA2aCard() is verified by the official SDK, and refused by it after a change", async () => {
  const verify = verifyAgentCardSignature(() =>
    Promise.resolve(createPublicKey(createSigningKey(me.seed)) as never)
  );
  const signed = { ...card, signatures: [signA2aCard(card, me)] };
  await verify(signed as never);
  await rejects(() => verify({ ...signed, name: "Other" } as never));
});

Deno.test("verifyA2aCard() takes a card that the official SDK signed", async () => {
  const kid = `${me.didKey}#key`;
  const sign = generateAgentCardSignature(createSigningKey(me.seed) as never, {
    alg: "EdDSA",
    kid,
    typ: "JOSE",
  });
  const signed = JSON.parse(JSON.stringify(await sign(card as never)));
  const { signatures } = signed;
  equal(await verifyA2aCard({ ...card, signatures }, keyOf), kid);
  equal(await verifyA2aCard({ ...card, version: "2", signatures }, keyOf), undefined);
});

Deno.test("verifyA2aCard() finds the right one among signatures that are none", async () => {
  const right = signA2aCard(card, me);
  const header = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const kid = `${me.didKey}#${me.didKey.slice(8)}`;
  const signatures = [
    null,
    {},
    { protected: "no JSON", signature: "" },
    { ...right, protected: header({ alg: "none", kid }) },
    { ...right, protected: header({ alg: "EdDSA", kid, crit: ["b64"] }) },
    { ...right, signature: right.signature.slice(2) },
    right,
  ];
  equal(await verifyA2aCard({ ...card, signatures } as never, keyOf), kid);
  equal(await verifyA2aCard({ ...card, signatures } as never, () => undefined), undefined);
  equal(await verifyA2aCard({ ...card, signatures: signatures.slice(0, -1) } as never, keyOf), undefined);
  equal(await verifyA2aCard(card, keyOf), undefined);
});

Deno.test("signA2aCard() refuses a card that is nested without end", () => {
  let nested: Record<string, unknown> = { a: 1 };
  for (let i = 0; i < 1000; i++) nested = { nested };
  throws(() => signA2aCard(nested as never, me), { code: "invalid_argument" });
});
