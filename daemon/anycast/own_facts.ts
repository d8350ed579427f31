import type { AgentCard } from "../../a2a/mod.ts";
import type { RegistryFacts } from "../../identity/mod.ts";
import { isLoopbackAddress } from "./loopback.ts";
import { toLabels } from "./query.ts";

/** What a registry takes at most; what is longer is cut, so that an agent with a long text is still found. */
const MOST = {
  name: 256,
  text: 1_024,
  id: 128,
  skills: 128,
  labels: 32,
  label: 64,
  value: 256,
  addresses: 16,
};

/** What this node tells registries about its agent; undefined while there is no card, or no skill on it. */
export function ownFacts(
  card: AgentCard | undefined,
  addresses: readonly string[],
): RegistryFacts | undefined {
  const skills = (card?.skills ?? []).filter(({ id }) => id.length <= MOST.id).slice(0, MOST.skills);
  if (card === undefined || skills.length === 0) return undefined;
  const isNear = (address: string) => isLoopbackAddress(address) ? 1 : 0;
  return {
    name: cut(card.name, MOST.name),
    description: cut(card.description, MOST.text),
    skills: skills.map(({ id, description, tags }) => ({
      id,
      description: cut(description, MOST.text),
      tags: Object.fromEntries(
        Object.entries(toLabels(tags))
          .filter(([name, value]) => name !== "" && name.length <= MOST.label && value.length <= MOST.value)
          .slice(0, MOST.labels),
      ),
    })),
    addresses: [...addresses].sort((a, b) => isNear(a) - isNear(b)).slice(0, MOST.addresses),
  };
}

function cut(text: string, most: number): string {
  return text.slice(0, most).toWellFormed();
}
