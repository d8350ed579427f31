import assert from "node:assert/strict";
import { describeNat } from "../../cli/nat_text.ts";

const SEEN = ["/ip4/198.51.100.7/udp/1000/quic-v1/noise"];

Deno.test("describeNat() says of a NAT only what is known of it", () => {
  const texts = [
    [{ nat: "public" }, /own addresses/],
    [{ nat: "unknown" }, /not known yet/],
    [{ nat: "private", natMapping: "unknown" }, /no relay is reached over QUIC/],
    [{ nat: "private", natMapping: "unknown", observedAddresses: SEEN }, /one relay alone cannot tell/],
    [{ nat: "private", natMapping: "same", observedAddresses: SEEN }, /^direct connections pass it$/],
    [{ nat: "private", natMapping: "differs", observedAddresses: SEEN }, /symmetric/],
  ] as const;
  for (const [facts, text] of texts) assert.match(describeNat(facts), text);
});
