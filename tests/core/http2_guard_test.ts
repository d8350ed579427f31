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

/** A connection whose ends tell how deep in the native session they were when its window was widened. */
const WIDENING = `
  import { installHttp2Guard } from "core/http2_guard.ts";
  import { once } from "node:events";
  import http2 from "node:http2";
  installHttp2Guard();
  const methods = ["receive", "getOutgoingChunk", "setLocalWindowSize"];
  let depth = 0;
  const depths = [];
  const handleOf = (session) =>
    Object.getOwnPropertySymbols(session).map((key) => session[key])
      .find((value) => typeof value?.getOutgoingChunk === "function");
  const server = http2.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.prependListener("session", (session) => {
    const native = Object.getPrototypeOf(handleOf(session));
    for (const name of methods) {
      const method = native[name];
      native[name] = function (...args) {
        if (name === "setLocalWindowSize") depths.push(depth);
        depth++;
        try { return method.apply(this, args); } finally { depth--; }
      };
    }
  });
  const [[theirs], session] = await Promise.all([once(server, "session"), new Promise((resolve) => {
    const client = http2.connect("http://127.0.0.1:" + server.address().port);
    client.once("remoteSettings", () => {
      client.setLocalWindowSize(2 ** 21);
      resolve(client);
    });
  })]);
  const told = async (bytes) => {
    const untilMs = performance.now() + 30_000;
    while (theirs.state.remoteWindowSize !== bytes && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return theirs.state.remoteWindowSize;
  };
  const inEvent = await told(2 ** 21);
  session.setLocalWindowSize(2 ** 22);
  const alone = await told(2 ** 22);
  console.log(JSON.stringify({ depths, inEvent, alone }));
  session.destroy();
  server.close();
`;

Deno.test("a guarded session is not widened while it works, and tells the other side at once", async () => {
  const { depths, inEvent, alone } = JSON.parse(await runFresh(WIDENING));
  assert.deepEqual([inEvent, alone], [2 ** 21, 2 ** 22]);
  assert.deepEqual(depths, [0, 0]);
});
