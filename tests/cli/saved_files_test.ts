import { deepEqual, equal, rejects } from "node:assert/strict";
import { saveFiles, toSafeName } from "../../cli/saved_files.ts";
import { CodedError } from "../../core/errors.ts";
import { tempDir } from "../support/temp_dir.ts";

const NAMES: readonly (readonly [given: string, safe: string])[] = [
  ["report.pdf", "report.pdf"],
  ["Übersicht 2 (neu).txt", "Übersicht 2 (neu).txt"],
  ["../../etc/passwd", "passwd"],
  ["/etc/cron.d/evil", "evil"],
  ["..\\..\\windows\\evil.exe", "evil.exe"],
  [".bashrc", "bashrc"],
  ["..", "file"],
  [".", "file"],
  ["", "file"],
  ["a/", "file"],
  ["a\0b\x1b[2J", "a_b__2J"],
  ["\u202etxt.exe", "_txt.exe"],
  ["C:evil", "C_evil"],
  ["CON", "_CON"],
  ["nul.txt", "_nul.txt"],
  ["trailing. . ", "trailing"],
  ["x".repeat(300), "x".repeat(100)],
];
for (const [given, safe] of NAMES) {
  Deno.test(`toSafeName() makes ${safe.slice(0, 30)} of ${JSON.stringify(given.slice(0, 30))}`, () => {
    equal(toSafeName(given), safe);
  });
}

const file = (filename: string, text: string) => ({ filename, bytes: new TextEncoder().encode(text) });

Deno.test("saveFiles() stays in its folder and overwrites nothing", async () => {
  await using dir = await tempDir();
  const folder = `${dir.path}/new/out`;
  const paths = await saveFiles(folder, [
    file("../a.txt", "1"),
    file("a.txt", "2"),
    file("/x/a.txt", "3"),
    file("b", ""),
  ]);
  deepEqual(paths, ["a.txt", "a-2.txt", "a-3.txt", "b"].map((name) => `${folder}/${name}`));
  deepEqual(await Promise.all(paths.map((path) => Deno.readTextFile(path))), ["1", "2", "3", ""]);
  deepEqual(await Array.fromAsync(Deno.readDir(`${dir.path}/new`), ({ name }) => name), ["out"]);
});

Deno.test("saveFiles() does not write through a link that waits in the folder", async () => {
  await using dir = await tempDir();
  await Deno.symlink(`${dir.path}/target`, `${dir.path}/a.txt`);
  deepEqual(await saveFiles(dir.path, [file("a.txt", "x")]), [`${dir.path}/a-2.txt`]);
  await rejects(Deno.stat(`${dir.path}/target`), Deno.errors.NotFound);
});

Deno.test("saveFiles() throws unavailable when the folder is a file", async () => {
  await using dir = await tempDir();
  await Deno.writeTextFile(`${dir.path}/taken`, "");
  await rejects(
    saveFiles(`${dir.path}/taken`, [file("a", "x")]),
    (error) => error instanceof CodedError && error.code === "unavailable" && /taken/.test(error.message),
  );
});
