import assert from "node:assert/strict";
import { RequestRate } from "../../relay/services/request_rate.ts";

Deno.test("takeQuery() lets ten seconds' worth pass at once, then what the time has earned", () => {
  let nowMs = 0;
  const rate = new RequestRate({ changesPerSecond: 1, queriesPerSecond: 2 }, () => nowMs);
  const caller = { peerId: undefined, host: "192.0.2.1" };
  for (let i = 0; i < 20; i++) rate.takeQuery(caller);
  assert.throws(() => rate.takeQuery(caller), {
    code: "resource_exhausted",
    message:
      "Too many queries came from 192.0.2.1: the limit is 2 a second (--registry-queries-per-second); wait",
  });
  rate.takeChange(caller); // counted by itself
  nowMs += 500;
  rate.takeQuery(caller);
  assert.throws(() => rate.takeQuery(caller), { code: "resource_exhausted" });
});

Deno.test("takeChange() counts all addresses of one IPv6 network together, and none of this machine", () => {
  const rate = new RequestRate({ changesPerSecond: 1, queriesPerSecond: 1 }, () => 0);
  const from = (host: string) => ({ peerId: undefined, host });
  rate.takeChange(from("2001:db8::1"), 10);
  assert.throws(() => rate.takeChange(from("2001:db8::2")), /Too many changes came from 2001:db8:0:0::\/64/);
  rate.takeChange(from("2001:db8:0:1::2"));
  for (const host of ["", "::1", "127.0.0.1"]) rate.takeChange(from(host), 1_000);
});
