// Real daemons behind NATs made from network namespaces; all pairs of them: `deno task nat`.
import assert from "node:assert/strict";
import { labObstacle } from "./lab.ts";
import { runMatrix } from "../../scripts/nat_matrix.ts";

const obstacle = await labObstacle();
if (obstacle !== undefined) console.log(`note: the NAT laboratory is skipped: ${obstacle}`);

Deno.test({
  name:
    "port-restricted NATs are punched, symmetric ones and blocked UDP stay relayed, and every task comes back",
  ignore: obstacle !== undefined,
  fn: async () => {
    const cells = await runMatrix({
      pairs: [["port-restricted", "port-restricted"], ["port-restricted", "symmetric"], [
        "port-restricted",
        "udp-blocked",
      ]],
      directTimeoutMs: 3_000,
    });
    assert.deepEqual(
      cells.map(({ to, delivered, path, transport }) => [to, delivered, path, transport]),
      [
        ["port-restricted", true, "direct", "quic"],
        ["symmetric", true, "relayed", "tcp"],
        ["udp-blocked", true, "relayed", "tcp"],
      ],
    );
  },
});
