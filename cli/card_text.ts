import type { AgentCard } from "../sdk/mod.ts";
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
