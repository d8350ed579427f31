import assert from "node:assert/strict";
import { FORMAT_VERSION, formatKey, largeKey, largePrefix } from "../../kv/keys.ts";
import { openDenoKvStore } from "../../kv/mod.ts";
import { patternBytes } from "../contract/kv_store_contract.ts";
import { tempDir } from "../support/temp_dir.ts";

const LARGE_COUNT = 130;

/** A store as version 1 left it: no index, or the first `indexed` keys of one when making it was interrupted. */
async function makeVersion1(directory: string, indexed: number): Promise<void> {
  {
    await using store = await openDenoKvStore({ directory });
    for (let i = 0; i < LARGE_COUNT; i++) {
      await store.commit([
        { op: "set", key: ["v", i], value: patternBytes(70_000, i) },
        { op: "set", key: ["small", i], value: patternBytes(70, i) },
      ]);
    }
  }
  using kv = await Deno.openKv(`${directory}/agentanycast.kv`);
  for await (const { key } of kv.list({ prefix: largePrefix })) await kv.delete(key);
  for (let i = 0; i < indexed; i++) await kv.set(largeKey(["v", i]), true);
  await kv.set(formatKey, 1);
}

for (const indexed of [0, 100]) {
  Deno.test(`claimFormat() indexes the large values of version 1 when ${indexed} are indexed`, async () => {
    await using dir = await tempDir();
    await makeVersion1(dir.path, indexed);
    {
      await using store = await openDenoKvStore({ directory: dir.path });
      for await (const { key, value } of store.list(["v"])) {
        assert.ok(Buffer.from(value).equals(patternBytes(70_000, Number(key[1]))));
      }
      for (let i = 1; i < LARGE_COUNT; i++) {
        await store.commit([
          i % 2 === 0 ? { op: "delete", key: ["v", i] } : {
            op: "set",
            key: ["v", i],
            value: patternBytes(7, i),
          },
        ]);
      }
    }
    using kv = await Deno.openKv(`${dir.path}/agentanycast.kv`);
    assert.equal((await kv.get(formatKey)).value, FORMAT_VERSION);
    const chunks = await Array.fromAsync(kv.list({ prefix: ["chunk"] }));
    assert.equal(chunks.length, 2); // of the one that was left alone
    const large = await Array.fromAsync(kv.list({ prefix: largePrefix }), ({ key }) => key);
    assert.deepEqual(large, [largeKey(["v", 0])]);
  });
}
