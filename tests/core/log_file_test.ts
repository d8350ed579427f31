import { deepEqual, equal, rejects } from "node:assert/strict";
import { LogFile } from "../../core/log_file.ts";
import { tempDir } from "../support/temp_dir.ts";

const fail = (error: unknown) => {
  throw error;
};

async function modeOf(path: string): Promise<number> {
  return (await Deno.stat(path)).mode! & 0o777;
}

Deno.test("LogFile.write() appends lines to a file only its user can read", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/logs/a.log`;
  for (const line of ["one", "two"]) {
    using file = new LogFile(path, { onError: fail });
    file.write(line);
  }
  equal(await Deno.readTextFile(path), "one\ntwo\n");
  equal(await modeOf(path), 0o600);
  equal(await modeOf(`${dir.path}/logs`), 0o700);
});

Deno.test("LogFile.write() closes a file that was open to others, and leaves the folder as it is", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/logs/a.log`;
  await Deno.mkdir(`${dir.path}/logs`, { mode: 0o755 });
  await Deno.writeTextFile(path, "before\n", { mode: 0o644 });
  using file = new LogFile(path, { onError: fail });
  file.write("after");
  equal(await Deno.readTextFile(path), "before\nafter\n");
  equal(await modeOf(path), 0o600);
  equal(await modeOf(`${dir.path}/logs`), 0o755); // a folder such as /var/log is not ours alone
});

Deno.test("LogFile.write() begins a new file when the limit is reached, also one left by an earlier run", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a.log`;
  const options = { maxBytes: 10, onError: fail };
  using first = new LogFile(path, options);
  for (const line of ["1234", "5678", "abcd"]) first.write(line);
  equal(await Deno.readTextFile(`${path}.1`), "1234\n5678\n");
  equal(await Deno.readTextFile(path), "abcd\n");
  using second = new LogFile(path, options);
  second.write("longer than the limit");
  equal(await Deno.readTextFile(`${path}.1`), "abcd\n");
  equal(await Deno.readTextFile(path), "longer than the limit\n");
  equal(await modeOf(path), 0o600);
});

Deno.test("LogFile.write() tells a failure once, goes on without the file and tries again later", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/taken/a.log`;
  await Deno.writeTextFile(`${dir.path}/taken`, "no folder");
  const errors: unknown[] = [];
  let nowMs = 1_000_000;
  using file = new LogFile(path, { onError: (error) => errors.push(error), now: () => nowMs });
  for (let i = 0; i < 3; i++) file.write("lost");
  nowMs += 30_000;
  file.write("lost too");
  equal(errors.length, 1);
  await Deno.remove(`${dir.path}/taken`);
  file.write("still waiting");
  nowMs += 30_000;
  file.write("kept");
  equal(await Deno.readTextFile(path), "kept\n");
  deepEqual(errors.length, 1);
});

Deno.test("LogFile.write() keeps as many older files as it is told, the newest as .1", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/log`;
  using file = new LogFile(path, { maxBytes: 2, keep: 2, onError: fail });
  for (const line of ["a", "b", "c", "d"]) file.write(line);
  const texts = await Promise.all(["", ".1", ".2"].map((end) => Deno.readTextFile(path + end)));
  deepEqual(texts, ["d\n", "c\n", "b\n"]);
  await rejects(Deno.stat(`${path}.3`), Deno.errors.NotFound);
});
