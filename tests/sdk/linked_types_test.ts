// Programs that link the SDK from a checkout check its sources by their own compiler options: Deno's defaults, most often.
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../../deno.json" with { type: "json" };
import { tempDir } from "../support/temp_dir.ts";

Deno.test("The SDK's types hold in a program that links it and has Deno's own compiler options", async () => {
  await using folder = await tempDir();
  const { name, version, exports } = manifest;
  await Deno.writeTextFile(
    join(folder.path, "deno.json"),
    JSON.stringify({
      imports: { [name]: `jsr:${name}@^${version}` },
      links: [fileURLToPath(new URL("../..", import.meta.url))],
    }),
  );
  const specifiers = Object.keys(exports).map((path) => JSON.stringify(name + path.slice(1)));
  const program = specifiers.map((specifier) => `import ${specifier};\n`).join("");
  await Deno.writeTextFile(join(folder.path, "program.ts"), program);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "program.ts"],
    cwd: folder.path,
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(220_000),
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
});
