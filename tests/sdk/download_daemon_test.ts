// The daemon's program from a release, served on loopback: whole, cut short, tampered with and missing.
import assert from "node:assert/strict";
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { RELEASE_KEY } from "../../core/release_signature.ts";
import { VERSION } from "../../core/version.ts";
import { assetName, TARGETS } from "../../scripts/compile/targets.ts";
import { type DaemonRelease, daemonRelease } from "../../sdk/release/daemon_release.ts";
import { downloadDaemon } from "../../sdk/release/download_daemon.ts";
import { type DownloadProgress, fetchFile } from "../../sdk/release/fetch_file.ts";
import { withFileLock } from "../../sdk/release/file_lock.ts";
import { FILE, OTHER_KEY, type ReleaseSite, startReleaseSite } from "../support/release_site.ts";
import { tempDir } from "../support/temp_dir.ts";

const PROGRAM = new TextEncoder().encode(`#!/bin/sh\n# ${"x".repeat(300_000)}\nexit 3\n`);
const forever = new AbortController().signal;

const leftovers = async ({ release }: ReleaseSite) =>
  (await readdir(release.folder).catch(() => [])).filter((name) => name !== "users").sort();

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
    () => ({ publicKey: OTHER_KEY }),
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

Deno.test("downloadDaemon() asks for no byte again of a program that came whole before the process died", async () => {
  await using site = await startReleaseSite(PROGRAM);
  await mkdir(site.release.folder, { recursive: true, mode: 0o700 });
  await writeFile(join(site.release.folder, `${FILE}.part`), PROGRAM);
  const program = await downloadDaemon(site.release, { signal: forever });
  assert.deepEqual(new Uint8Array(await readFile(program)), PROGRAM);
  assert.deepEqual(site.requests, ["SHA256SUMS", "SHA256SUMS.sig"]);
});

Deno.test("downloadDaemon() removes older releases, but those in use and the one that was used last", async () => {
  await using site = await startReleaseSite(PROGRAM);
  const root = join(site.release.folder, "..");
  const ended = new Deno.Command(Deno.execPath(), { args: ["--version"], stdout: "null" }).spawn();
  await ended.status;
  const old = async (name: string, { day, pid }: { day: number; pid: number }) => {
    const users = join(root, name, "users");
    await mkdir(users, { recursive: true });
    await writeFile(join(users, String(pid)), "");
    await utimes(users, day * 86_400, day * 86_400);
  };
  await old("0.0.1", { day: 1, pid: process.pid });
  await old("0.0.2", { day: 2, pid: ended.pid });
  await old("0.0.3", { day: 4, pid: ended.pid });
  await old("0.0.4-rc.1", { day: 3, pid: ended.pid });
  await old("0.0.5", { day: 0, pid: ended.pid });
  await writeFile(join(root, "0.0.5", `${FILE}.lock`), ""); // being downloaded
  await old("other", { day: 0, pid: ended.pid });
  await downloadDaemon(site.release, { signal: forever });
  assert.deepEqual((await readdir(root)).sort(), ["0.0.1", "0.0.3", "0.0.5", VERSION, "other"]);
  assert.deepEqual(await readdir(join(site.release.folder, "users")), [String(process.pid)]);
  await old(VERSION, { day: 9, pid: ended.pid });
  await downloadDaemon(site.release, { signal: forever });
  assert.deepEqual(await readdir(join(site.release.folder, "users")), [String(process.pid)]);
});

Deno.test("downloadDaemon() says that there is nobody, and why", async () => {
  const site = await startReleaseSite(PROGRAM);
  await using folder = await tempDir();
  const release = { ...site.release, folder: join(folder.path, "cache") };
  await site[Symbol.asyncDispose]();
  const error = await downloadDaemon(release, { signal: forever }).catch((error) => error);
  assert.equal(error.code, "unavailable");
  assert.match(
    error.message,
    /^No agentanycast program on this machine.*refused.*Without a network: put the program/,
  );
});

const onLinux = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, ignore: Deno.build.os !== "linux", fn });

onLinux("downloadDaemon() tells a full disk and a folder that it may not use", async () => {
  await using site = await startReleaseSite(PROGRAM);
  const { folder } = site.release;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const part = join(folder, "part");
  await symlink("/dev/full", part);
  const full = await fetchFile(site.release.url + FILE, part, { signal: forever }).catch((error) => error);
  assert.equal(full.code, "resource_exhausted");
  assert.match(
    full.message,
    /^Cannot keep the downloaded agentanycast at .*ENOSPC.*Free some space.*XDG_CACHE_HOME/s,
  );
  const elsewhere = { ...site.release, folder: join("/proc", "agentanycast") };
  const refused = await downloadDaemon(elsewhere, { signal: forever }).catch((error) => error);
  assert.equal(refused.code, "failed_precondition");
  assert.match(refused.message, /^Cannot keep the downloaded agentanycast at \/proc\/agentanycast: /);
  await chmod(folder, 0o770);
  const shared = await downloadDaemon(site.release, { signal: forever }).catch((error) => error);
  assert.equal(shared.code, "failed_precondition");
  assert.match(shared.message, /others may write there.*chmod 700/);
  if (process.getuid?.() !== 0) return; // nobody else can give a folder away
  await chmod(folder, 0o700);
  await chown(folder, 65_534, 65_534);
  const foreign = await downloadDaemon(site.release, { signal: forever }).catch((error) => error);
  assert.match(foreign.message, /others may write there/);
});

Deno.test("withFileLock() takes over a lock that nobody touches, and waits for one that is held", async () => {
  await using folder = await tempDir();
  const path = join(folder.path, "lock");
  await writeFile(path, ""); // by a process that died before it wrote anything
  await utimes(path, new Date(0), new Date(0));
  assert.equal(await withFileLock(path, () => Promise.resolve("done"), { signal: forever }), "done");
  await writeFile(path, "another one");
  const reason = new Error("enough");
  const waiting = withFileLock(path, () => Promise.resolve(), { signal: AbortSignal.abort(reason) });
  await assert.rejects(waiting, reason);
  assert.deepEqual(await readdir(folder.path), ["lock"]);
});

Deno.test("withFileLock() leaves a lock alone that another one has taken over", async () => {
  await using folder = await tempDir();
  const path = join(folder.path, "lock");
  await withFileLock(path, () => writeFile(path, "another one"), { signal: forever });
  assert.equal(await readFile(path, "utf8"), "another one");
});

Deno.test("daemonRelease() names the files that scripts/compile.ts makes, for every platform", () => {
  const platforms: Record<string, string> = { linux: "linux", macos: "darwin", windows: "win32" };
  for (const target of TARGETS) {
    const [os = "", arch = ""] = target.name.split("-");
    const { file, version } = daemonRelease({
      ...{ platform: platforms[os] ?? os, arch, exists: () => true },
      ...{ env: {}, releaseKey: OTHER_KEY },
    });
    assert.deepEqual([file, version], [assetName("agentanycast", target), VERSION]);
  }
});

Deno.test("daemonRelease() says so on systems that are not released for", () => {
  const releaseFor = (platform: string, arch: string, exists: boolean) => () =>
    daemonRelease({ platform, arch, exists: () => exists, env: {}, releaseKey: OTHER_KEY });
  for (const [platform, arch] of [["freebsd", "x64"], ["linux", "ia32"]] as const) {
    assert.throws(releaseFor(platform, arch, true), { code: "unimplemented", message: /daemonPath/ });
  }
  assert.throws(releaseFor("linux", "x64", false), {
    code: "unimplemented",
    message: /GNU C library.*Alpine/,
  });
});

Deno.test("daemonRelease() takes mirrors and keys from options and environment", () => {
  const key = OTHER_KEY.replace(/^./, "A");
  const env = { AGENTANYCAST_RELEASE_URL: "https://mirror.example/{version}", AGENTANYCAST_RELEASE_KEY: key };
  const release = daemonRelease({ env });
  assert.deepEqual([release.url, release.publicKey], [`https://mirror.example/${VERSION}/`, key]);
  const named = daemonRelease({ env, releaseUrl: "http://a/b/", releaseKey: OTHER_KEY });
  assert.deepEqual([named.url, named.publicKey], ["http://a/b/", OTHER_KEY]);
  assert.throws(() => daemonRelease({ env, releaseUrl: "file:///x" }), { code: "invalid_argument" });
  assert.throws(() => daemonRelease({ env, releaseKey: "k" }), { code: "invalid_argument" });
  assert.equal(
    daemonRelease({ env: { ...env, XDG_CACHE_HOME: "/c" } }).folder,
    `/c/agentanycast/releases/${VERSION}`,
  );
});

Deno.test("daemonRelease() without a key says that there is no release yet, and what to do", () => {
  assert.equal(RELEASE_KEY, undefined); // until a maintainer pins the key of the first release
  for (const releaseUrl of [undefined, "https://mirror.example/"]) {
    assert.throws(() => daemonRelease({ env: {}, releaseUrl }), {
      code: "failed_precondition",
      message: /no release of \S+ has been published.*no key.*daemonPath.*releaseUrl and releaseKey/,
    });
  }
});
