import assert from "node:assert/strict";
import { addressKind } from "../../http/mod.ts";

const KINDS: Readonly<Record<string, readonly string[]>> = {
  public: ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
  loopback: ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::ffff:10.1.2.3", "64:ff9b::a00:1"],
  linkLocal: ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"],
  carrierGradeNat: ["100.64.0.1", "100.100.100.200"],
  uniqueLocal: ["fd00:ec2::254", "fc00::1"],
  multicast: ["224.0.0.1", "239.255.255.250", "ff02::1"],
  unspecified: ["0.0.0.0", "0.1.2.3", "::"],
  broadcast: ["255.255.255.255"],
  metadata: ["168.63.129.16", "::ffff:168.63.129.16"],
  reserved: ["192.0.2.1", "198.18.0.1", "240.0.0.1", "2001:db8::1"],
  "6to4": ["2002:7f00:1::"],
  teredo: ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
  rfc6052: ["64:ff9b:1::a00:1"],
  deprecatedSiteLocal: ["fec0::1"],
  unassigned: ["::7f00:1", "4000::1"],
};

Deno.test("addressKind() tells public addresses from every special range, IPv4 inside IPv6 included", () => {
  for (const [kind, addresses] of Object.entries(KINDS)) {
    for (const address of addresses) assert.equal(addressKind(address), kind, address);
  }
});

Deno.test("addressKind() throws when the text is not an address", () => {
  for (const text of ["", "agent.example", "[::1]", "1.2.3.4/8"]) {
    assert.throws(() => addressKind(text), SyntaxError, text);
  }
});
