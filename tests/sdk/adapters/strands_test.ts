import assert from "node:assert/strict";
import { type AgentTurn, strandsAgent } from "../../../sdk/adapters/mod.ts";

function turn(text: string, signal = new AbortController().signal): AgentTurn {
  return { text, signal, sessionId: "s", data: undefined, parts: [], task: undefined as never };
}

Deno.test("strandsAgent() leaves its place in the queue of a conversation when its signal fires", async () => {
  const begun: string[] = [];
  const first = Promise.withResolvers<void>();
  const run = strandsAgent(() => ({
    async *stream(text: string) {
      begun.push(text);
      if (text === "one") await first.promise;
      yield {};
      return `answer to ${text}`;
    },
  }));
  const one = Array.fromAsync(run(turn("one")));
  const controller = new AbortController();
  const two = Array.fromAsync(run(turn("two", controller.signal)));
  const three = Array.fromAsync(run(turn("three")));
  controller.abort(new Error("not wanted"));
  await assert.rejects(two, /not wanted/);
  assert.deepEqual(begun, ["one"]);
  first.resolve();
  assert.deepEqual(await one, [{ text: "answer to one" }]);
  assert.deepEqual(await three, [{ text: "answer to three" }]);
  assert.deepEqual(begun, ["one", "three"]);
});
