import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { MIN_STATUS_ENTRIES, setStatus, statusAt } from "../../identity/mod.ts";
import {
  decodeStatusList,
  encodeStatusList,
  parseCredentialStatus,
  toCredentialStatus,
} from "../../identity/vc/status_list.ts";

const url = "https://issuer.example/credentials/status/1";

Deno.test("decodeStatusList() gives back what encodeStatusList() took; the first entry is the highest bit", async () => {
  const bits = new Uint8Array(MIN_STATUS_ENTRIES / 8);
  for (const index of [0, 9, MIN_STATUS_ENTRIES - 1]) setStatus(bits, index);
  deepEqual([bits[0], bits[1], bits.at(-1)], [0x80, 0x40, 0x01]);
  const decoded = await decodeStatusList(await encodeStatusList(bits));
  deepEqual([0, 1, 9, MIN_STATUS_ENTRIES - 1].map((i) => statusAt(decoded, i)), [true, false, true, true]);
  equal(statusAt(decoded, MIN_STATUS_ENTRIES), undefined);
  throws(() => setStatus(bits, MIN_STATUS_ENTRIES), RangeError);
});

Deno.test("decodeStatusList() reads the example of the standard, a list without any bit set", async () => {
  const example = "uH4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";
  const bits = await decodeStatusList(example);
  equal(bits.length * 8, MIN_STATUS_ENTRIES);
  equal(bits.some((byte) => byte !== 0), false);
});

Deno.test("decodeStatusList() refuses what is no list, too short, and what unpacks to more than 2 MiB", async () => {
  const pack = (length: number) => `u${gzipSync(Buffer.alloc(length)).toString("base64url")}`;
  for (const bad of ["", "u", "uAAAA", "H4sI", pack(100), pack(64 * 1024 * 1024)]) {
    await rejects(decodeStatusList(bad), { code: "invalid_argument" });
  }
});

Deno.test("parseCredentialStatus() reads entries, and none of a kind that cannot be judged", () => {
  const entry = { purpose: "revocation", index: 94_567, listUrl: url } as const;
  const status = toCredentialStatus(entry);
  deepEqual(parseCredentialStatus(status), [entry]);
  deepEqual(parseCredentialStatus([status, { ...status, statusPurpose: "message" }]), [entry]);
  deepEqual(parseCredentialStatus(undefined), []);
  const bad = [
    { ...status, type: "StatusList2021Entry" },
    { ...status, statusListIndex: 7 },
    { ...status, statusListIndex: "-1" },
    { ...status, statusListIndex: "1e3" },
    { ...status, statusPurpose: "other" },
    { ...status, statusListCredential: 1 },
    "x",
    Array(9).fill(status),
  ];
  for (const one of bad) equal(parseCredentialStatus(one as never), undefined);
});
