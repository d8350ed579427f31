import assert from "node:assert/strict";
import { createPublicKey, sign, verify } from "node:crypto";
import { CodedError } from "../../core/errors.ts";
import { createIdentity, openIdentity } from "../../identity/mod.ts";
import { tempDir } from "../support/temp_dir.ts";

const POSIX = Deno.build.os !== "windows";
const HEADER = [0x08, 0x01, 0x12, 0x40];
const identity = createIdentity(Uint8Array.from({ length: 32 }, (_, i) => i * 7));
const keyFile = Uint8Array.from([...HEADER, ...identity.seed, ...identity.publicKey]);

async function writeKeyFile(path: string, content: Uint8Array, mode = 0o600): Promise<void> {
  await Deno.writeFile(path, content);
  if (POSIX) await Deno.chmod(path, mode);
}

async function namesIn(path: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
}

/** That opening fails with this code and a message that names the path, and leaves the file as it is. */
async function assertRefuses(path: string, code: string, message: RegExp): Promise<void> {
  const before = await Deno.readFile(path).catch(() => undefined);
  const error = await openIdentity(path).then(() => assert.fail("it opened"), (error: unknown) => error);
  assert.ok(error instanceof CodedError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.ok(error.message.includes(path), error.message);
  assert.deepEqual(await Deno.readFile(path).catch(() => undefined), before);
}

Deno.test("createIdentity() matches the vectors of seeds", () => {
  const { publicKey, peerId, didKey } = createIdentity(new Uint8Array(32));
  assert.equal(publicKey.toHex(), "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
  assert.equal(peerId, "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN");
  assert.equal(didKey, "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp");
  // RFC 8032, section 7.1, test 1
  assert.equal(
    createIdentity(Uint8Array.fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
      .publicKey.toHex(),
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  );
});

Deno.test("createIdentity() keeps its own copy of the seed", () => {
  const seed = new Uint8Array(32).fill(5);
  const made = createIdentity(seed);
  seed.fill(0);
  assert.deepEqual(made.seed, new Uint8Array(32).fill(5));
});

Deno.test("createIdentity() throws RangeError when the seed has another length", () => {
  for (const length of [0, 31, 33, 64, 68]) {
    assert.throws(() => createIdentity(new Uint8Array(length)), RangeError);
  }
});

Deno.test("openIdentity() saves a new key in libp2p form and finds it again", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/new/folder/key`;
  const made = await openIdentity(path);
  assert.deepEqual(await Deno.readFile(path), Uint8Array.from([...HEADER, ...made.seed, ...made.publicKey]));
  assert.deepEqual(await openIdentity(path), made);
  assert.notDeepEqual(await openIdentity(`${dir.path}/other`), made);
  assert.deepEqual(await namesIn(`${dir.path}/new/folder`), ["key"]);
});

Deno.test("openIdentity() makes a key that signs for its public key", async () => {
  await using dir = await tempDir();
  const { seed, publicKey } = await openIdentity(`${dir.path}/key`);
  const der = (header: string, key: Uint8Array) => Buffer.concat([Buffer.from(header, "hex"), key]);
  const message = Buffer.from("message");
  const signature = sign(null, message, {
    key: der("302e020100300506032b657004220420", seed),
    format: "der",
    type: "pkcs8",
  });
  const spki = der("302a300506032b6570032100", publicKey);
  assert.ok(verify(null, message, createPublicKey({ key: spki, format: "der", type: "spki" }), signature));
});

Deno.test({
  name: "openIdentity() makes the file 0600 and missing folders 0700 and leaves other folders alone",
  ignore: !POSIX,
  fn: async () => {
    await using dir = await tempDir();
    await Deno.chmod(dir.path, 0o755);
    await openIdentity(`${dir.path}/a/b/key`);
    const modes = ["/a/b/key", "/a/b", "/a", ""].map((name) =>
      (Deno.statSync(dir.path + name).mode ?? 0) & 0o777
    );
    assert.deepEqual(modes, [0o600, 0o700, 0o700, 0o755]);
  },
});

Deno.test("openIdentity() gives all the same identity when many open at once", async () => {
  await using dir = await tempDir();
  const opened = await Promise.all(Array.from({ length: 20 }, () => openIdentity(`${dir.path}/home/key`)));
  assert.equal(new Set(opened.map(({ peerId }) => peerId)).size, 1);
  assert.deepEqual(await openIdentity(`${dir.path}/home/key`), opened[0]);
  assert.deepEqual(await namesIn(`${dir.path}/home`), ["key"]);
});

Deno.test("openIdentity() reads a libp2p message, seed with public key, and a seed alone", async () => {
  await using dir = await tempDir();
  for (const start of [0, 4]) {
    await writeKeyFile(`${dir.path}/key`, keyFile.slice(start));
    assert.deepEqual(await openIdentity(`${dir.path}/key`), identity);
  }
  await writeKeyFile(`${dir.path}/key`, identity.seed);
  assert.deepEqual(await openIdentity(`${dir.path}/key`), identity);
});

Deno.test("openIdentity() throws data_loss when the file has another length", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/key`;
  for (const length of [0, 1, 31, 33, 63, 65, 67, 69, 5000]) {
    const content = new Uint8Array(length);
    content.set(keyFile.slice(0, length));
    await writeKeyFile(path, content);
    await assertRefuses(path, "data_loss", /has (more than )?\d+ bytes.*backup.*NEW identity/);
  }
});

Deno.test("openIdentity() throws data_loss when any bit of a key file is flipped", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/key`;
  for (let at = 0; at < keyFile.length; at++) {
    await writeKeyFile(path, keyFile.with(at, (keyFile[at] ?? 0) ^ (1 << (at % 8))));
    await assertRefuses(path, "data_loss", at < 4 ? /no Ed25519 private key/ : /does not belong/);
  }
  await writeKeyFile(path, keyFile.slice(4).with(40, (keyFile[44] ?? 0) ^ 1));
  await assertRefuses(path, "data_loss", /does not belong.*backup.*NEW identity/);
});

Deno.test({
  name: "openIdentity() throws failed_precondition when group or others have any right",
  ignore: !POSIX,
  fn: async () => {
    await using dir = await tempDir();
    const path = `${dir.path}/key`;
    await Deno.symlink(path, `${dir.path}/link`);
    for (const mode of [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666, 0o777]) {
      await writeKeyFile(path, keyFile, mode);
      await assertRefuses(path, "failed_precondition", /chmod 600/);
      await assertRefuses(`${dir.path}/link`, "failed_precondition", /chmod 600/);
    }
    await Deno.chmod(path, 0o400);
    assert.deepEqual(await openIdentity(path), identity);
    assert.deepEqual(await openIdentity(`${dir.path}/link`), identity);
  },
});

Deno.test("openIdentity() throws failed_precondition when there is a folder", async () => {
  await using dir = await tempDir();
  await assertRefuses(dir.path, "failed_precondition", /no regular file/);
});

Deno.test({
  name: "openIdentity() throws failed_precondition at once when there is a pipe or a device",
  ignore: !POSIX,
  fn: async () => {
    await using dir = await tempDir();
    const path = `${dir.path}/pipe`;
    await new Deno.Command("mkfifo", { args: ["-m", "600", path] }).output();
    const error = await openIdentity(path).catch((error: unknown) => error);
    assert.ok(error instanceof CodedError && error.code === "failed_precondition");
    await assert.rejects(openIdentity("/dev/zero"), /no regular file/);
  },
});

Deno.test({
  name: "openIdentity() throws unavailable and writes nothing when a symlink leads nowhere",
  ignore: !POSIX,
  fn: async () => {
    await using dir = await tempDir();
    await Deno.symlink(`${dir.path}/nowhere`, `${dir.path}/key`);
    await assertRefuses(`${dir.path}/key`, "unavailable", /Check its folder/);
    assert.deepEqual(await namesIn(dir.path), ["key"]);
  },
});

Deno.test("openIdentity() throws unavailable when its folder cannot be made", async () => {
  await using dir = await tempDir();
  await Deno.writeTextFile(`${dir.path}/file`, "");
  await assertRefuses(`${dir.path}/file/key`, "unavailable", /Check its folder/);
});

Deno.test({
  name: "openIdentity() throws permission_denied when the file or its folder is closed to this user",
  ignore: !POSIX || Deno.uid() === 0,
  fn: async () => {
    await using dir = await tempDir();
    await writeKeyFile(`${dir.path}/key`, keyFile, 0o200);
    await assertRefuses(`${dir.path}/key`, "permission_denied", /Let this user/);
    await Deno.mkdir(`${dir.path}/closed`, { mode: 0o500 });
    await assertRefuses(`${dir.path}/closed/key`, "permission_denied", /Let this user/);
  },
});
