import type { AgentCard, CardCheck, CredentialCheck } from "../sdk/mod.ts";
import { toFacts, visible } from "./output.ts";

/** A card for people, each line after `indent`. */
export function describeCard(card: AgentCard, indent = ""): string[] {
  const shown = (text: string | undefined) => text && visible(text);
  const facts = toFacts({
    "Name": shown(card.name),
    "Description": shown(card.description),
    "Version": shown(card.version),
    "Peer id": shown(card.peerId),
    "DID": shown(card.didKey),
    "did:web": shown(card.didWeb),
    "did:dns": shown(card.didDns),
    "Transports": shown(card.supportedTransports?.join(", ")),
    "Relays": shown(card.relayAddresses?.join(", ")),
    "Signed": card.signedAt?.toISOString() ?? "no: only the peer id and the DID are proven",
  });
  const skills = card.skills.map(({ id, description = "", tags = [] }) =>
    `  ${visible(id)}${description && `: ${visible(description)}`}${
      tags.length > 0 ? ` [${tags.map(visible).join(", ")}]` : ""
    }`
  );
  return [...facts, skills.length > 0 ? "Skills:" : "No skills", ...skills].map((line) => indent + line);
}

/** What is proven of a card, for people. */
export function describeCheck({ dids, credentials }: CardCheck): string[] {
  const proven = dids.map(({ did, verdict, reason }) => `  ${visible(did)}: ${outcome(verdict, reason)}`);
  return [
    ...proven.length > 0 ? ["Claimed names:", ...proven] : [],
    ...credentials.length > 0
      ? ["Credentials:", ...credentials.map((one) => `  ${describeCredential(one)}`)]
      : [],
  ];
}

/** A credential that was checked, in one line. */
export function describeCredential(credential: CredentialCheck): string {
  const { verdict, reason, issuer = "", types = [], capabilities = [], validUntil, legacy } = credential;
  const what = [...types, ...capabilities.length > 0 ? [`[${capabilities.join(", ")}]`] : []].join(" ");
  const facts = [
    ...what === "" ? [] : [visible(what)],
    ...issuer === "" ? [] : [`by ${visible(issuer)}`],
    ...validUntil === undefined ? [] : [`until ${validUntil.toISOString()}`],
    ...legacy ? ["(older form)"] : [],
  ];
  return [...facts, outcome(verdict, reason)].join(" ");
}

function outcome(verdict: string, reason: string | undefined): string {
  return verdict.toUpperCase().replaceAll("_", " ") + (reason ? `: ${visible(reason)}` : "");
}
