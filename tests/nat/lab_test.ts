// Real daemons behind NATs made from network namespaces; all pairs of them: `deno task nat`.
import assert from "node:assert/strict";
import { labObstacle } from "./lab.ts";
import { runMatrix } from "../../scripts/nat_matrix.ts";
import { runCut } from "../../scripts/nat_trials.ts";

const obstacle = await labObstacle();
if (obstacle !== undefined) console.log(`note: the NAT laboratory is skipped: ${obstacle}`);

Deno.test({
  name:
    "port-restricted NATs are punched, mapped ports dialed, the rest stays relayed, and every task comes back",
  ignore: obstacle !== undefined,
  fn: async () => {
    const cells = await runMatrix({
      pairs: [["port-restricted", "port-restricted"], ["port-restricted", "symmetric"], [
        "port-restricted",
        "udp-blocked",
      ], ["symmetric", "port-mapping"]],
      directTimeoutMs: 12_000,
    });
    assert.deepEqual(
      // Both ports are mapped, and whichever is reached first is used.
      cells.map(({ to, delivered, path, transport }) => [
        ...[to, delivered, path],
        to === "port-mapping" ? "any" : transport,
      ]),
      [
        ["port-restricted", true, "direct", "quic"],
        ["symmetric", true, "relayed", "tcp"],
        ["udp-blocked", true, "relayed", "tcp"],
        ["port-mapping", true, "direct", "any"],
      ],
    );
  },
});

Deno.test({
  name: "tasks move to the relay when UDP is cut off, and back soon after it is there again; none is lost",
  ignore: obstacle !== undefined,
  fn: async () => {
    const first = await runCut({ what: "udp", outageMs: 0 });
    // Not every punch gets through.
    const last = first.directAgainMs === undefined ? await runCut({ what: "udp", outageMs: 0 }) : first;
    assert.deepEqual([first.lost, last.lost], [0, 0]);
    assert.notEqual(last.directAgainMs, undefined);
  },
});
