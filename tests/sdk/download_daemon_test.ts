// The daemon's program from a release, served on loopback: whole, cut short, tampered with and missing.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VERSION } from "../../core/version.ts";
import { type DaemonRelease, daemonRelease } from "../../sdk/release/daemon_release.ts";
import { downloadDaemon } from "../../sdk/release/download_daemon.ts";
import type { DownloadProgress } from "../../sdk/release/fetch_file.ts";
import { withFileLock } from "../../sdk/release/file_lock.ts";
import { type ReleaseSite, startReleaseSite } from "../support/release_site.ts";

const FILE = daemonRelease({ env: {} }).file;
const PROGRAM = new TextEncoder().encode(`#!/bin/sh\n# ${"x".repeat(300_000)}\nexit 3\n`);
const forever = new AbortController().signal;

const leftovers = async ({ release }: ReleaseSite) => (await readdir(release.folder).catch(() => [])).sort();

Deno.test("downloadDaemon() keeps the program of a good release, and asks nobody the next time", async () => {
  await using site = await startReleaseSite(PROGRAM);
  const progress: DownloadProgress[] = [];
  const program = await downloadDaemon(site.release, {
    signal: forever,
    onProgress: (now) => progress.push(now),
  });
  assert.deepEqual(new Uint8Array(await readFile(program)), PROGRAM);
  assert.deepEqual(progress.at(-1), { receivedBytes: PROGRAM.length, totalBytes: PROGRAM.length });
  assert.deepEqual(await leftovers(site), ["SHA256SUMS", "SHA256SUMS.sig", FILE]);
  if (Deno.build.os !== "windows") {
    assert.equal((await stat(program)).mode & 0o777, 0o700);
    assert.equal((await stat(site.release.folder)).mode & 0o777, 0o700);
  }
  const before = site.requests.length;
  assert.equal(await downloadDaemon(site.release, { signal: forever }), program);
  assert.equal(site.requests.length, before);
});

Deno.test("downloadDaemon() goes on where a cut download ended, and later calls too", async () => {
  await using site = await startReleaseSite(PROGRAM);
  site.cuts.push(100_000, 50_000, 50_000);
  const error = await downloadDaemon(site.release, { signal: forever }).catch((error) => error);
  assert.equal(error.code, "unavailable");
  assert.match(error.message, /AGENTANYCAST_BINARY.*AGENTANYCAST_RELEASE_URL/);
  assert.deepEqual(await leftovers(site), [`${FILE}.part`]);
  const { size } = await stat(join(site.release.folder, `${FILE}.part`));
  const program = await downloadDaemon(site.release, { signal: forever });
  assert.deepEqual(new Uint8Array(await readFile(program)), PROGRAM);
  assert.equal(site.requests.at(-1), `${FILE} bytes=${size}-`);
  assert.ok(size > 0);
});

Deno.test("downloadDaemon() begins anew when the server has no ranges, or the part is of something else", async () => {
  for (const options of [{ ranges: false }, { ranges: true }]) {
    for (const part of ["other", "x".repeat(PROGRAM.length)]) {
      await using site = await startReleaseSite(PROGRAM, options);
      await mkdir(site.release.folder, { recursive: true });
      await writeFile(join(site.release.folder, `${FILE}.part`), part);
      const program = await downloadDaemon(site.release, { signal: forever });
      assert.deepEqual(new Uint8Array(await readFile(program)), PROGRAM);
    }
  }
});

Deno.test("downloadDaemon() keeps nothing of a program whose checksum is wrong", async () => {
  await using site = await startReleaseSite(PROGRAM);
  site.files.set(FILE, PROGRAM.map((byte, i) => i === 9 ? byte ^ 1 : byte));
  const error = await downloadDaemon(site.release, { signal: forever }).catch((error) => error);
  assert.equal(error.code, "data_loss");
  assert.deepEqual(await leftovers(site), []);
});

Deno.test("downloadDaemon() asks for no program when the checksums are not signed for its version by its key", async () => {
  const spoil: ((site: ReleaseSite) => Partial<DaemonRelease>)[] = [
    ({ files }) => {
      const other = new TextEncoder().encode(`${"0".repeat(64)}  ${FILE}\n`);
      files.set("SHA256SUMS", other);
      return {};
    },
    ({ files }) => {
      files.set("SHA256SUMS.sig", new TextEncoder().encode("AAAA"));
      return {};
    },
    () => ({ publicKey: daemonRelease({ env: {} }).publicKey }),
    () => ({ version: "99.0.0" }), // an older release in place of a newer one
  ];
  for (const make of spoil) {
    await using site = await startReleaseSite(PROGRAM);
    const release = { ...site.release, ...make(site) };
    const error = await downloadDaemon(release, { signal: forever }).catch((error) => error);
    assert.equal(error.code, "data_loss");
    assert.match(error.message, /not signed for version/);
    assert.equal(site.requests.some((request) => request.startsWith(FILE)), false);
    assert.deepEqual(await leftovers(site), []);
  }
});

Deno.test("downloadDaemon() says what is missing and what to do", async () => {
  for (const name of ["SHA256SUMS", "SHA256SUMS.sig", FILE]) {
    await using site = await startReleaseSite(PROGRAM);
    site.files.delete(name);
    const error = await downloadDaemon(site.release, { signal: forever }).catch((error) => error);
    assert.equal(error.code, "not_found");
    assert.match(error.message, /HTTP 404.*AGENTANYCAST_BINARY/);
  }
  await using site = await startReleaseSite(PROGRAM);
  const other = { ...site.release, file: "agentanycast-macos-arm64" };
  await assert.rejects(downloadDaemon(other, { signal: forever }), { code: "not_found" });
});

Deno.test("downloadDaemon() downloads again what was changed in the cache", async () => {
  await using site = await startReleaseSite(PROGRAM);
  const program = await downloadDaemon(site.release, { signal: forever });
  await writeFile(program, "evil");
  await downloadDaemon(site.release, { signal: forever });
  assert.deepEqual(new Uint8Array(await readFile(program)), PROGRAM);
});

Deno.test("downloadDaemon() downloads once for all that want it at the same moment", async () => {
  await using site = await startReleaseSite(PROGRAM);
  const all = await Promise.all([1, 2, 3].map(() => downloadDaemon(site.release, { signal: forever })));
  assert.equal(new Set(all).size, 1);
  assert.equal(site.requests.filter((request) => request.startsWith(FILE)).length, 1);
});

Deno.test("downloadDaemon() throws the reason of its signal", async () => {
  await using site = await startReleaseSite(PROGRAM);
  const reason = new Error("enough");
  await assert.rejects(downloadDaemon(site.release, { signal: AbortSignal.abort(reason) }), reason);
});

Deno.test("withFileLock() takes over the lock of a process that has died, and waits for one that lives", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "lock");
  const dead = new Deno.Command("true").spawn();
  await dead.status;
  await writeFile(path, String(dead.pid));
  assert.equal(await withFileLock(path, () => Promise.resolve("done"), { signal: forever }), "done");
  await writeFile(path, String(Deno.pid));
  const reason = new Error("enough");
  const waiting = withFileLock(path, () => Promise.resolve(), { signal: AbortSignal.abort(reason) });
  await assert.rejects(waiting, reason);
  assert.deepEqual(await readdir(folder), ["lock"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("daemonRelease() names the files of every platform, and takes mirrors from options and environment", () => {
  const nameOf = (platform: string, arch: string) => daemonRelease({ platform, arch, env: {} }).file;
  assert.equal(nameOf("linux", "x64"), "agentanycast-linux-x64");
  assert.equal(nameOf("darwin", "arm64"), "agentanycast-macos-arm64");
  assert.equal(nameOf("win32", "x64"), "agentanycast-windows-x64.exe");
  assert.throws(() => nameOf("freebsd", "x64"), { code: "unimplemented", message: /daemonPath/ });
  const env = { AGENTANYCAST_RELEASE_URL: "https://mirror.example/{version}", AGENTANYCAST_RELEASE_KEY: "k" };
  const release = daemonRelease({ env });
  assert.deepEqual([release.url, release.publicKey], [`https://mirror.example/${VERSION}/`, "k"]);
  assert.equal(daemonRelease({ env, releaseUrl: "http://a/b/", releaseKey: "o" }).url, "http://a/b/");
  assert.throws(() => daemonRelease({ env, releaseUrl: "file:///x" }), { code: "invalid_argument" });
  assert.equal(
    daemonRelease({ env: { XDG_CACHE_HOME: "/c" } }).folder,
    `/c/agentanycast/releases/${VERSION}`,
  );
});
