import assert from "node:assert/strict";
import { createAgentFetch } from "../../../daemon/remote/a2a/agent_fetch.ts";
import type { SafeFetch } from "../../../http/mod.ts";

/** Answers a stream of events made of `pieces`. */
function streaming(pieces: Iterable<string>): typeof fetch {
  const body = ReadableStream.from(pieces).pipeThrough(new TextEncoderStream());
  const safeFetch = () =>
    Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  return createAgentFetch(safeFetch as unknown as SafeFetch, {}, {});
}

const WANTED = { headers: { accept: "text/event-stream" } };

Deno.test("createAgentFetch() gives up an event that has no end", async () => {
  const piece = "x".repeat(1024 * 1024);
  let sent = 0;
  function* endless() {
    yield "data: ";
    for (; sent < 64; sent++) yield piece;
  }
  const response = await streaming(endless())("https://agent.example/", WANTED);
  await assert.rejects(response.text(), { code: "resource_exhausted" });
  assert.ok(sent < 32, `${sent} MiB were read`);
});

Deno.test("createAgentFetch() passes many events on, however they are cut", async () => {
  const event = `data: {"text":"${"y".repeat(1_000_000)}"}\n\n`;
  const pieces = Array(20).fill([event.slice(0, 10), event.slice(10, -1), "\n"]).flat();
  const response = await streaming(pieces)("https://agent.example/", WANTED);
  assert.equal((await response.text()).length, 20 * event.length);
});
