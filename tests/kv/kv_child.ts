// A process with a store of its own, for tests: `kv_child.ts <mode> <directory> [seed]`, one word per line on stdout.
import { CodedError } from "../../core/errors.ts";
import { type KvOperation, openDenoKvStore } from "../../kv/mod.ts";
import { patternBytes } from "../contract/kv_store_contract.ts";

const [mode, directory = "", seed = "0"] = Deno.args;

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Commits without end, from several loops at once, and says which commits are done. */
async function commitForever(): Promise<void> {
  const store = await openDenoKvStore({ directory });
  const loop = async (name: string, size: number) => {
    for (let i = 0;; i++) {
      const id = `${seed}-${name}-${i}`;
      const value = patternBytes(size, i);
      const operations: KvOperation[] = [
        { op: "check", key: ["job", id], revision: undefined },
        { op: "set", key: ["job", id], value: value.slice(0, 100) },
        { op: "set", key: ["index", id], value: value.slice(0, 100) },
        { op: "set", key: ["last", name], value },
      ];
      if (!await store.commit(operations)) throw new Error(`${id} was there before`);
      say(id);
    }
  };
  await Promise.all([loop("small", 500), loop("big", 150_000), loop("bigger", 900_000)]);
}

/** Holds the store until stdin ends. */
async function hold(): Promise<void> {
  await using _store = await openDenoKvStore({ directory });
  say("open");
  await Array.fromAsync(Deno.stdin.readable);
}

/** Commits until that fails, then says how many were done, the code, and whether the store can still be read. */
async function fill(): Promise<void> {
  await using store = await openDenoKvStore({ directory });
  let done = 0;
  try {
    for (;; done++) await store.commit([{ op: "set", key: ["v", done], value: patternBytes(300_000, done) }]);
  } catch (error) {
    say(`${done} ${error instanceof CodedError ? error.code : error}`);
  }
}

try {
  if (mode === "crash") await commitForever();
  else if (mode === "hold") await hold();
  else await fill();
} catch (error) {
  say(error instanceof CodedError ? `${error.code}: ${error.message}` : String(error));
  Deno.exit(1);
}
