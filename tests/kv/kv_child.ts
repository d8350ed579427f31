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
  const small = Array.from({ length: 24 }, (_, i) => loop(`small${i}`, 500));
  await Promise.all([...small, loop("big", 150_000), loop("bigger", 900_000)]);
}

/** Holds the store until stdin ends. */
async function hold(): Promise<void> {
  await using _store = await openDenoKvStore({ directory });
  say("open");
  await Array.fromAsync(Deno.stdin.readable);
}

/** Commits `seed` at once until that fails, then says how many were done and the codes of the others. */
async function fill(): Promise<void> {
  await using store = await openDenoKvStore({ directory });
  const atOnce = Number(seed);
  const value = (i: number) => patternBytes(atOnce === 1 ? 300_000 : 50_000, i);
  for (let next = 0;; next += atOnce) {
    const commits = Array.from(
      { length: atOnce },
      (_, i) => store.commit([{ op: "set", key: ["v", next + i], value: value(next + i) }]),
    );
    const failed = (await Promise.allSettled(commits)).filter((result) => result.status === "rejected");
    const codes = failed.map(({ reason }) => reason instanceof CodedError ? reason.code : String(reason));
    if (failed.length > 0) return say(JSON.stringify({ done: next + atOnce - failed.length, codes }));
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
