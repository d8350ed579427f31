import { deepEqual, equal } from "node:assert/strict";
import { followFile, type LogTail, readLastLines } from "../../cli/log_tail.ts";
import { tempDir } from "../support/temp_dir.ts";

async function tailOf(path: string, count: number): Promise<LogTail> {
  const tail = await readLastLines(path, count);
  if (tail === undefined) throw new Error(`no log at ${path}`);
  return tail;
}

/** What following prints while one step after the other happens, each when the follower has read all there is. */
async function follow(
  path: string,
  tail: LogTail | undefined,
  steps: (() => Promise<void>)[],
): Promise<string[]> {
  const controller = new AbortController();
  const clock = {
    now: () => 0,
    sleep: async () => {
      const step = steps.shift();
      if (step === undefined) controller.abort();
      else await step();
    },
  };
  const position = { path, inode: tail?.inode ?? null, offsetBytes: tail?.endBytes ?? 0 };
  return await Array.fromAsync(followFile(position, { clock, signal: controller.signal }));
}

const append = (path: string, text: string) => () => Deno.writeTextFile(path, text, { append: true });

Deno.test("readLastLines() answers the end of the log, also from the file before it", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a.log`;
  equal(await readLastLines(path, 5), undefined);
  await Deno.writeTextFile(path, "3\n4\n\n");
  deepEqual((await tailOf(path, 2)).lines, ["4", ""]);
  deepEqual((await tailOf(path, 0)).lines, []);
  deepEqual((await tailOf(path, 9)).lines, ["3", "4", ""]);
  await Deno.writeTextFile(`${path}.1`, "1\n2\n");
  deepEqual((await tailOf(path, 4)).lines, ["2", "3", "4", ""]);
});

Deno.test("followFile() tells what is added, in whole lines and characters", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a.log`;
  await Deno.writeTextFile(path, "old\n");
  const bytes = new TextEncoder().encode("zwölf\n");
  const lines = await follow(path, await tailOf(path, 1), [
    append(path, "one\ntw"),
    append(path, "o\n"),
    () => Deno.writeFile(path, bytes.subarray(0, 3), { append: true }),
    () => Deno.writeFile(path, bytes.subarray(3), { append: true }),
  ]);
  deepEqual(lines, ["one", "two", "zwölf"]);
});

Deno.test("followFile() goes on when the file is renamed and a new one begins", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a.log`;
  await Deno.writeTextFile(path, "old\n");
  const lines = await follow(path, await tailOf(path, 1), [
    async () => {
      await append(path, "last of the first\n")();
      await Deno.rename(path, `${path}.1`);
    },
    append(path, "first of the second\n"),
    append(path, "second of the second\n"),
  ]);
  deepEqual(lines, ["last of the first", "first of the second", "second of the second"]);
});

Deno.test("followFile() loses nothing when the file was renamed before it began", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a.log`;
  await Deno.writeTextFile(path, "old\n");
  const tail = await tailOf(path, 1);
  await append(path, "between\n")();
  await Deno.rename(path, `${path}.1`);
  await append(path, "new\n")();
  deepEqual(await follow(path, tail, [append(path, "newer\n")]), ["between", "new", "newer"]);
});

Deno.test("followFile() waits for a file that does not exist yet", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a.log`;
  deepEqual(await follow(path, undefined, [async () => {}, append(path, "here\n")]), ["here"]);
});
