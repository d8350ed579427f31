import type { NodeInfo } from "../sdk/mod.ts";

/** What is known of being reached from outside. */
export interface NatFacts {
  readonly nat: NodeInfo["nat"];
  readonly natMapping?: string | undefined;
  readonly observedAddresses?: readonly string[] | undefined;
}

/** What is known of the NAT in front of a node, in words; connections with open hosts pass every NAT from inside. */
export function describeNat({ nat, natMapping, observedAddresses = [] }: NatFacts): string {
  if (nat === "public") return "others reach this node at its own addresses";
  if (nat !== "private") return "not known yet";
  if (observedAddresses.length === 0) {
    return "no relay is reached over QUIC from behind it: connections with others behind NATs are relayed";
  }
  switch (natMapping) {
    case "differs":
      return "symmetric: connections with others behind NATs are relayed";
    case "same":
      return "direct connections pass it";
    default:
      return "one relay alone cannot tell whether direct connections pass it: a second one (--relay) can";
  }
}
