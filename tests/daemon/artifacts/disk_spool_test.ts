import assert from "node:assert/strict";
import { join } from "node:path";
import type { SpoolFile, SpoolPosition } from "../../../a2a/streams/stream_ports.ts";
import { CodedError } from "../../../core/errors.ts";
import { silentLogger } from "../../../core/log.ts";
import { DiskSpool } from "../../../daemon/artifacts/disk_spool.ts";
import type { SpoolBounds } from "../../../daemon/artifacts/spool_room.ts";
import { startOf } from "../../a2a/stream_net.ts";
import { tempDir } from "../../support/temp_dir.ts";

const open = (
  folder: string,
  { bounds = {}, knows = true }: { bounds?: Partial<SpoolBounds>; knows?: boolean } = {},
) => DiskSpool.open({ folder, logger: silentLogger, knowsTask: () => Promise.resolve(knows) }, bounds);
const chunk = (text: string, isLast = false) => ({ data: new TextEncoder().encode(text), isLast });
const readAll = async (file: SpoolFile, from?: SpoolPosition) => {
  const reader = await file.read(from);
  const texts: string[] = [];
  for (let one = await reader.next(); one !== undefined; one = await reader.next()) {
    texts.push(`${new TextDecoder().decode(one.data)}${one.isLast ? "!" : ""}`);
  }
  reader.close();
  return texts;
};
const isExhausted = (error: unknown) => error instanceof CodedError && error.code === "resource_exhausted";

Deno.test("a spool shows its readers what is durable, with the borders of the chunks", async () => {
  await using dir = await tempDir();
  const spool = await open(dir.path);
  const file = await spool.create(startOf(), "id");
  await file.append([chunk("a"), chunk("")]);
  assert.deepEqual(await readAll(file), []);
  await file.flush();
  await file.append([chunk("bc", true)]);
  assert.deepEqual([file.chunks, file.bytes, await readAll(file)], [2, 1, ["a", ""]]);
  await file.flush();
  await file.seal(new Uint8Array([1, 2]));
  assert.deepEqual(await readAll(file), ["a", "", "bc!"]);
  assert.deepEqual(await readAll(file, { chunks: 1, bytes: 1 }), ["", "bc!"]);
  assert.deepEqual(await readAll(file, { chunks: 3, bytes: 3 }), []);
  assert.equal(await Deno.readTextFile(file.path), "abc");
  file.close();
});

Deno.test("a spool of an earlier run is cut to its last whole chunk and goes on there", async () => {
  await using dir = await tempDir();
  const first = await open(dir.path);
  const file = await first.create(startOf(), "id");
  await file.append([chunk("a"), chunk("bc")]);
  await file.flush();
  file.close();
  await Deno.writeTextFile(file.path, "torn", { append: true });
  const index = file.path.replace(/data$/, "index");
  await Deno.writeFile(index, new Uint8Array(7), { append: true });
  const second = await open(dir.path);
  const [again] = await second.load("task");
  assert.ok(again);
  assert.deepEqual([again.chunks, again.bytes, again.streamId, again.start], [2, 3, "id", startOf()]);
  assert.equal(second.usedBytes, 3 + 2 * 4);
  await again.append([chunk("d")]);
  await again.flush();
  assert.deepEqual(await readAll(again), ["a", "bc", "d"]);
  again.close();
});

Deno.test("a spool of an earlier run loses chunks whose bytes are missing", async () => {
  await using dir = await tempDir();
  const file = await (await open(dir.path)).create(startOf(), "id");
  await file.append([chunk("a"), chunk("bc")]);
  await file.flush();
  file.close();
  await Deno.truncate(file.path, 2);
  const [again] = await (await open(dir.path)).load("task");
  assert.deepEqual([again?.chunks, again?.bytes], [1, 1]);
});

Deno.test("a sealed spool that does not have what it says is removed", async () => {
  await using dir = await tempDir();
  const file = await (await open(dir.path)).create(startOf(), "id");
  await file.append([chunk("abc")]);
  await file.flush();
  await file.seal(new Uint8Array([1]));
  file.close();
  const sound = await open(dir.path);
  const [whole] = await sound.load("task");
  assert.deepEqual(whole?.sha256, new Uint8Array([1]));
  whole?.close();
  await Deno.truncate(file.path, 2);
  const damaged = await open(dir.path);
  assert.deepEqual(await damaged.load("task"), []);
  assert.equal(damaged.usedBytes, 0);
});

Deno.test("names on disk are hashes and nobody else may read them", async () => {
  await using dir = await tempDir();
  const spool = await open(join(dir.path, "artifacts"));
  const file = await spool.create(startOf("../../escape", "../task"), "id");
  await file.append([chunk("a")]);
  await file.flush();
  file.close();
  assert.match(file.path.slice(dir.path.length), /^\/artifacts\/[0-9a-f]{40}\/[0-9a-f]{40}\.data$/);
  if (Deno.build.os !== "windows") {
    assert.equal(((await Deno.stat(file.path)).mode ?? 0) & 0o777, 0o600);
    assert.equal(((await Deno.stat(join(file.path, ".."))).mode ?? 0) & 0o777, 0o700);
  }
});

Deno.test("the bytes of an artifact and of all are bounded, and come free with their removal", async () => {
  await using dir = await tempDir();
  const spool = await open(dir.path, { bounds: { maxArtifactBytes: 20, maxTotalBytes: 30 } });
  const one = await spool.create(startOf("one"), "id");
  const two = await spool.create(startOf("two"), "id");
  await one.append([chunk("x".repeat(16))]);
  await assert.rejects(one.append([chunk("")]), isExhausted);
  await assert.rejects(two.append([chunk("x".repeat(7))]), isExhausted);
  await one.remove();
  await two.append([chunk("x".repeat(16))]);
  await spool.removeTask("task");
  two.close();
  assert.equal(spool.usedBytes, 0);
});

Deno.test("a new attempt replaces what an earlier one left", async () => {
  await using dir = await tempDir();
  const first = await (await open(dir.path)).create(startOf(), "old");
  await first.append([chunk("old")]);
  await first.flush();
  first.close();
  const spool = await open(dir.path);
  const second = await spool.create(startOf(), "new");
  assert.deepEqual([second.chunks, spool.usedBytes], [0, 0]);
  second.close();
});

Deno.test("opening a spool removes the artifacts of tasks that are gone", async () => {
  await using dir = await tempDir();
  const file = await (await open(dir.path)).create(startOf(), "id");
  file.close();
  await open(dir.path);
  await Deno.stat(file.path);
  await open(dir.path, { knows: false });
  await assert.rejects(Deno.stat(file.path), Deno.errors.NotFound);
});
