import assert from "node:assert/strict";
import { join } from "node:path";
import { VERSION } from "../../core/version.ts";
import { writeChecksums } from "../../scripts/compile/checksums.ts";
import { missingPlatforms, publicKeyOf, signRelease } from "../../scripts/sign_release.ts";
import { checksumOf } from "../../sdk/release/signed_checksums.ts";
import { runProgram } from "../support/program.ts";
import { newKey } from "../support/release_site.ts";
import { tempDir } from "../support/temp_dir.ts";

const SCRIPT = join(import.meta.dirname ?? ".", "..", "..", "scripts", "sign_release.ts");

/** Writes a release of one program into `dir`. */
async function makeRelease(dir: string): Promise<void> {
  await Deno.writeTextFile(join(dir, "agentanycast-linux-x64"), "a program");
  await writeChecksums("agentanycast", dir);
}

Deno.test("signRelease() signs what the SDK then takes", async () => {
  await using dir = await tempDir();
  await makeRelease(dir.path);
  const pem = newKey();
  await signRelease(pem, dir.path, { trusted: publicKeyOf(pem) });
  const [checksums = "", signature = ""] = await Promise.all(
    ["SHA256SUMS", "SHA256SUMS.sig"].map((name) => Deno.readTextFile(join(dir.path, name))),
  );
  const signed = { checksums, signature, version: VERSION, publicKey: publicKeyOf(pem) };
  assert.equal(checksumOf("agentanycast-linux-x64", signed), checksums.slice(0, 64));
  assert.deepEqual(
    await missingPlatforms(dir.path),
    ["linux-arm64", "macos-x64", "macos-arm64", "windows-x64", "windows-arm64"],
  );
});

Deno.test("signRelease() refuses a key that the SDK does not check by, and files that are not those of the checksums", async () => {
  await using dir = await tempDir();
  await makeRelease(dir.path);
  const pem = newKey();
  for (const trusted of [undefined, publicKeyOf(newKey())]) {
    await assert.rejects(signRelease(pem, dir.path, { trusted }), {
      code: "failed_precondition",
      message: /^Cannot sign the release .*RELEASE_KEY of core\/release_signature\.ts/,
    });
  }
  await Deno.writeTextFile(join(dir.path, "agentanycast-linux-x64"), "another program");
  await assert.rejects(signRelease(pem, dir.path, { trusted: publicKeyOf(pem) }), {
    code: "failed_precondition",
    message: /agentanycast-linux-x64.*Compile again/,
  });
  await assert.rejects(signRelease("no key", dir.path), { code: "invalid_argument" });
  assert.deepEqual([...Deno.readDirSync(dir.path)].map(({ name }) => name).sort(), [
    "SHA256SUMS",
    "agentanycast-linux-x64",
  ]);
});

Deno.test("sign_release.ts signs no official release as long as no key is pinned, but a mirror's", async () => {
  await using dir = await tempDir();
  await makeRelease(dir.path);
  const key = join(dir.path, "key.pem");
  await Deno.writeTextFile(key, newKey());
  const run = (...args: string[]) => runProgram([Deno.execPath(), "run", "-A", SCRIPT, ...args]);
  const refused = await run(key, dir.path);
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(refused.stderr, /the SDK of this checkout has no key yet/);
  const signed = await run("--mirror", key, dir.path);
  assert.deepEqual([signed.code, signed.stdout], [0, `${publicKeyOf(await Deno.readTextFile(key))}\n`]);
  assert.match(signed.stderr, /^Signed without a program for linux-arm64, /);
  assert.deepEqual([(await run("--public", key)).stdout, (await run()).code], [signed.stdout, 2]);
});
