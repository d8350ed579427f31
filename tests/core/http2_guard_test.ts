import assert from "node:assert/strict";
import http2 from "node:http2";
import { assertHttp2Guard, installHttp2Guard } from "../../core/http2_guard.ts";

/** Runs `code` as a module in a fresh process, since a guard cannot be taken out again. */
async function runFresh(code: string): Promise<string> {
  const base = new URL("../../core/", import.meta.url).href;
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--config",
      new URL("../../deno.json", import.meta.url).pathname,
      code.replaceAll("core/", base),
    ],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  assert.equal(output.code, 0);
  return new TextDecoder().decode(output.stdout).trim();
}

Deno.test("assertHttp2Guard() refuses when the guard is not installed", async () => {
  const printed = await runFresh(`
    import { assertHttp2Guard } from "core/http2_guard.ts";
    console.log(await assertHttp2Guard().then(() => "accepted", (error) => error.code));
  `);
  assert.equal(printed, "failed_precondition");
});

Deno.test("assertHttp2Guard() accepts when the guard is installed", async () => {
  installHttp2Guard();
  await assertHttp2Guard();
});

Deno.test("installHttp2Guard() wraps only once when called again", () => {
  installHttp2Guard();
  const { createServer, connect } = http2;
  installHttp2Guard();
  assert.equal(http2.createServer, createServer);
  assert.equal(http2.connect, connect);
});
