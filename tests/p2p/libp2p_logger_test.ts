import assert from "node:assert/strict";
import { createLogger, type LogLevel } from "../../core/log.ts";
import { silenceLockChannel } from "../../p2p/broadcast_channel.ts";
import { createLibp2pLogger } from "../../p2p/libp2p_logger.ts";

function logAt(level: LogLevel) {
  const lines: { level: string; component: string; text: string }[] = [];
  const logger = createLogger({ level, format: "json", write: (line) => lines.push(JSON.parse(line)) });
  return { lines, log: createLibp2pLogger(logger).forComponent("libp2p:test") };
}

Deno.test("createLibp2pLogger() writes libp2p's lines at debug with their arguments filled in", () => {
  const { lines, log } = logAt("debug");
  log("dial %p at %a took %d%% %s", "peer", ["/ip4/1", "/ip4/2"], 7);
  log.newScope("inner").error("broke - %e", new Error("no route"), "rest");
  log(new Error("bare"));
  log.trace("dropped");
  assert.deepEqual(lines.map(({ level, component, text }) => [level, component, text]), [
    ["debug", "libp2p:test", "dial peer at /ip4/1, /ip4/2 took 7% undefined"],
    ["debug", "libp2p:test:inner", "broke - no route rest"],
    ["debug", "libp2p:test", "bare"],
  ]);
});

Deno.test("createLibp2pLogger() does not put a line together that is not written", () => {
  const { lines, log } = logAt("info");
  log("%s", {
    toString() {
      throw new Error("formatted");
    },
  });
  assert.deepEqual(lines, []);
});

Deno.test("silenceLockChannel() silences the lock channel alone", async () => {
  silenceLockChannel();
  using disposed = new DisposableStack();
  const lock = new BroadcastChannel("mortice");
  lock.postMessage("nobody listens");
  lock.close();
  const [one, other] = [new BroadcastChannel("else"), new BroadcastChannel("else")];
  for (const channel of [one, other]) disposed.defer(() => channel.close());
  assert.ok(one instanceof BroadcastChannel);
  const heard = new Promise((resolve) => other.onmessage = ({ data }) => resolve(data));
  one.postMessage("hello");
  assert.equal(await heard, "hello");
});
