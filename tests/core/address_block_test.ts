import assert from "node:assert/strict";
import { addressBlock } from "../../core/address_block.ts";

Deno.test("addressBlock() takes all addresses of one IPv6 network for one", () => {
  assert.equal(addressBlock("2001:db8:0:1::1"), "2001:db8:0:1::/64");
  assert.equal(addressBlock("2001:0DB8:0:1:ffff:1:2:3"), "2001:db8:0:1::/64");
  assert.equal(addressBlock("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(addressBlock("::1"), "0:0:0:0::/64");
  assert.notEqual(addressBlock("2001:db8:0:2::1"), addressBlock("2001:db8:0:1::1"));
});

Deno.test("addressBlock() leaves an IPv4 address whole, however it is written", () => {
  assert.equal(addressBlock("203.0.113.7"), "203.0.113.7");
  assert.equal(addressBlock("::ffff:203.0.113.7"), "203.0.113.7");
  assert.equal(addressBlock("::ffff:cb00:7107"), "203.0.113.7");
});

Deno.test("addressBlock() leaves what is no address alone", () => {
  for (const other of ["", "relay.example", "peer 12D3KooW", "not:an:address"]) {
    assert.equal(addressBlock(other), other);
  }
});
