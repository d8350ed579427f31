import type { Verb } from "../verb.ts";

/** How this node is reached, and what is in the way. */
export const NAT_VERBS: readonly Verb[] = [
  {
    path: "doctor",
    summary: "look at everything that has to be right for this node to be reached, and say what to do",
    notes:
      "Looks at key, store, clock, daemon, addresses, NAT, relays, UDP and TCP, and proxies. Exit code 1 when there is a fault.",
    examples: ["doctor", "doctor --json", "doctor --json | jq '.findings[] | select(.state == \"fault\")'"],
    json: true,
    load: () => import("../verbs/doctor.ts"),
  },
];
