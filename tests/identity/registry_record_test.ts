import assert from "node:assert/strict";
import { CodedError, type ErrorCode } from "../../core/errors.ts";
import {
  canonicalBytes,
  createIdentity,
  openRegistryRecord,
  type RegistryRecord,
  signFor,
  signRegistryRecord,
} from "../../identity/mod.ts";

const NOW_MS = 1_800_000_000_000;
const DAY_MS = 24 * 60 * 60 * 1000;
const identity = createIdentity(new Uint8Array(32).fill(7));
const other = createIdentity(new Uint8Array(32).fill(8));
const at = { nowMs: NOW_MS };

const RECORD: Omit<RegistryRecord, "peerId"> = {
  sequence: 3,
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 60_000,
  name: "Translator",
  description: "Translates — even 漢字",
  skills: [{ id: "translate", description: "from English", tags: { to: "de", __proto__x: "y" } }],
  addresses: ["/ip4/192.0.2.7/tcp/4001"],
  removed: false,
};

const refusedWith = (code: ErrorCode, text: RegExp) => (error: unknown) => {
  assert(error instanceof CodedError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

/** A record signed although it breaks rules. */
function forced(record: object, signer = identity) {
  const payload = canonicalBytes({ ...RECORD, peerId: identity.peerId, ...record } as never);
  return { payload, signature: signFor("registry-record", signer, payload) };
}

Deno.test("openRegistryRecord() gives back what signRegistryRecord() was given", () => {
  const record = openRegistryRecord(signRegistryRecord(RECORD, identity), at);
  assert.deepEqual(record, { ...RECORD, peerId: identity.peerId });
});

Deno.test("openRegistryRecord() refuses a record that another key signed", () => {
  assert.throws(
    () => openRegistryRecord(forced({}, other), at),
    refusedWith("unauthenticated", /not signed by/),
  );
});

Deno.test("openRegistryRecord() refuses a record of which one byte was changed", () => {
  const { payload, signature } = signRegistryRecord(RECORD, identity);
  const changed = payload.slice();
  changed[changed.indexOf("T".charCodeAt(0))] = "t".charCodeAt(0);
  assert.throws(
    () => openRegistryRecord({ payload: changed, signature }, at),
    refusedWith("unauthenticated", /not signed by/),
  );
  assert.throws(
    () => openRegistryRecord({ payload, signature: signature.subarray(1) }, at),
    refusedWith("unauthenticated", /not signed by/),
  );
});

Deno.test("openRegistryRecord() refuses a signature that was made for another purpose", () => {
  const { payload } = signRegistryRecord(RECORD, identity);
  const signature = signFor("card", identity, payload);
  assert.throws(
    () => openRegistryRecord({ payload, signature }, at),
    refusedWith("unauthenticated", /signed/),
  );
});

Deno.test("openRegistryRecord() refuses what is expired, from the future, or to hold for more than a day", () => {
  const cases: [object, ErrorCode, RegExp][] = [
    [{ issuedAtMs: NOW_MS - 2000, expiresAtMs: NOW_MS }, "failed_precondition", /expired/],
    [{ issuedAtMs: NOW_MS + 301_000, expiresAtMs: NOW_MS + 400_000 }, "invalid_argument", /in the future/],
    [{ expiresAtMs: NOW_MS + DAY_MS + 1 }, "invalid_argument", /more than 24 h/],
    [{ expiresAtMs: Number.MAX_SAFE_INTEGER }, "invalid_argument", /more than 24 h/],
    [{ expiresAtMs: NOW_MS - 1 }, "invalid_argument", /which is none/],
    [{ sequence: 1.5 }, "invalid_argument", /no whole number/],
    [{ sequence: -1 }, "invalid_argument", /no whole number/],
  ];
  for (const [fields, code, text] of cases) {
    assert.throws(
      () => openRegistryRecord(forced(fields), at),
      refusedWith(code, text),
      JSON.stringify(fields),
    );
  }
});

Deno.test("openRegistryRecord() refuses what is too long, too many or of another form", () => {
  const skill = RECORD.skills[0]!;
  const cases: [object, RegExp][] = [
    [{ name: "n".repeat(257) }, /name has 257/],
    [{ description: "d".repeat(4097) }, /description has 4097/],
    [{ skills: Array.from({ length: 129 }, (_, i) => ({ ...skill, id: `s${i}` })) }, /129 skills/],
    [{ skills: [skill, skill] }, /there twice/],
    [{ skills: [{ ...skill, id: "" }] }, /no id/],
    [{ skills: [{ ...skill, id: "x".repeat(129) }] }, /skill id has 129/],
    [{ addresses: Array(17).fill("/ip4/192.0.2.7/tcp/1") }, /17 addresses/],
    [{ skills: [], removed: false }, /not removed/],
    [{ removed: true }, /not removed/],
    [{ peerId: "12D3KooWTestA" }, /peer id/],
    [{ name: 7 }, /form of a record/],
    [{ skills: [{ id: "a", description: "", tags: { a: 1 } }] }, /form of a record/],
    [{ extra: "field" }, /canonical/],
  ];
  for (const [fields, text] of cases) {
    assert.throws(
      () => openRegistryRecord(forced(fields), at),
      refusedWith("invalid_argument", text),
      JSON.stringify(fields).slice(0, 80),
    );
  }
});

Deno.test("openRegistryRecord() refuses another writing of the same JSON, and what is none", () => {
  const { payload } = signRegistryRecord(RECORD, identity);
  const spaced = new TextEncoder().encode(
    JSON.stringify(JSON.parse(new TextDecoder().decode(payload)), null, 1),
  );
  const signature = signFor("registry-record", identity, spaced);
  assert.throws(
    () => openRegistryRecord({ payload: spaced, signature }, at),
    refusedWith("invalid_argument", /canonical/),
  );
  for (const text of ["", "null", "[]", "{", "\xff", "{}"]) {
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    assert.throws(
      () => openRegistryRecord({ payload: bytes, signature }, at),
      refusedWith("invalid_argument", /./),
    );
  }
  const huge = new Uint8Array(33 * 1024);
  assert.throws(
    () => openRegistryRecord({ payload: huge, signature }, at),
    refusedWith("invalid_argument", /33792 bytes/),
  );
});

Deno.test("signRegistryRecord() makes the bytes that docs/protocol.md shows", async () => {
  const { payload, signature } = signRegistryRecord({
    ...RECORD,
    description: "Translates",
    skills: [{ id: "translate", description: "", tags: { to: "de" } }],
  }, identity);
  const shown = await Deno.readTextFile(new URL("../../docs/protocol.md", import.meta.url));
  const [, text, hex] = /```record\n(.*)\n([0-9a-f]+)\n```/.exec(shown) ?? [];
  assert.equal(text, new TextDecoder().decode(payload));
  assert.equal(hex, signature.toHex());
});
