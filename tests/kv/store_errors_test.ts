import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { damagedError, isUndecodable, toFileError, toStoreError } from "../../kv/store_errors.ts";

Deno.test("toStoreError() gives code, path and advice when the database fails", () => {
  const cases = [
    [new TypeError("database or disk is full"), "unavailable", /Free some space/],
    [new TypeError("Can not write to a read-only database."), "permission_denied", /can write/],
    [new Error("unable to open database file: /x"), "permission_denied", /can write/],
    [new Error("file is not a database"), "data_loss", /backup/],
    [new Error("database disk image is malformed"), "data_loss", /backup/],
    [new RangeError("could not deserialize value"), "data_loss", /backup/],
    [new Error("disk I/O error"), "unavailable", /Check the disk/],
    [new Error("database is locked"), "unavailable", /who else/],
  ] as const;
  for (const [cause, code, advice] of cases) {
    const error = toStoreError(cause, "/home/store.kv");
    assert.equal(error.code, code);
    assert.match(error.message, advice);
    assert.match(error.message, /\/home\/store\.kv/);
    assert.equal(error.cause, cause);
  }
});

Deno.test("toStoreError() leaves a coded error as it is", () => {
  const error = new CodedError("data_loss", "gone");
  assert.equal(toStoreError(error, "/x"), error);
});

Deno.test("toFileError() is permission_denied when the file system refuses and unavailable otherwise", () => {
  const readOnly = Object.assign(new Error("Read-only file system"), { code: "EROFS" });
  assert.equal(toFileError(new Deno.errors.PermissionDenied("no"), "open", "/x").code, "permission_denied");
  assert.equal(toFileError(readOnly, "open", "/x").code, "permission_denied");
  const other = toFileError(new Deno.errors.NotADirectory("odd"), "open the store in", "/x");
  assert.equal(other.code, "unavailable");
  assert.match(other.message, /^Cannot open the store in \/x: odd\. /);
});

Deno.test("isUndecodable() is true for what the database throws about a record alone", () => {
  assert.equal(isUndecodable(new RangeError("could not deserialize value")), true);
  assert.equal(isUndecodable(new RangeError("Invalid array length")), false);
  assert.equal(isUndecodable(new TypeError("could not deserialize value")), false);
});

Deno.test("damagedError() is data_loss and names key, path and what was found", () => {
  const error = damagedError(["task", 1], "/home/store.kv", { found: "it has 1 of 2 bytes" });
  assert.equal(error.code, "data_loss");
  assert.match(
    error.message,
    /\["task",1\] from the store \/home\/store\.kv: it has 1 of 2 bytes\. Store it again/,
  );
});
