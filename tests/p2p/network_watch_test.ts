import assert from "node:assert/strict";
import { createLogger } from "../../core/log.ts";
import { NetworkWatch } from "../../p2p/network_watch.ts";

Deno.test("NetworkWatch.run() tells when the addresses are others, and not of their order", async () => {
  const seen = [["10.0.0.2", "fd00::1"], ["fd00::1", "10.0.0.2"], ["10.0.0.3"], ["10.0.0.3"], []];
  const abort = new AbortController();
  const changes: number[] = [];
  let look = -1;
  const watch = new NetworkWatch({
    addresses: () => seen[++look] ?? [],
    onChange: () => changes.push(look),
    clock: {
      now: () => 0,
      sleep: () => look < seen.length - 1 ? Promise.resolve() : Promise.reject(abort.abort()),
    },
    logger: createLogger({ level: "error", write: () => {} }),
  });
  await watch.run(abort.signal);
  assert.deepEqual(changes, [2, 4]);
});
