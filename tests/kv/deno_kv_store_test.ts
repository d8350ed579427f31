import assert from "node:assert/strict";
import { CodedError } from "../../core/errors.ts";
import { FORMAT_VERSION, formatKey, garbageKey, garbagePrefix } from "../../kv/keys.ts";
import { type KvOperation, type KvStore, openDenoKvStore } from "../../kv/mod.ts";
import { patternBytes, testKvStoreContract } from "../contract/kv_store_contract.ts";
import { tempDir } from "../support/temp_dir.ts";

testKvStoreContract("Deno KV", async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const store = stack.use(await openDenoKvStore({ directory: dir.path }));
  const opened = stack.move();
  return { store, [Symbol.asyncDispose]: () => opened.disposeAsync() };
});

const POSIX = Deno.build.os !== "windows";

interface Leftovers {
  /** Ids of values whose chunks nothing refers to. */
  unused: string[];
  /** Keys whose values are in chunks, and those of them that are not on the index. */
  chunked: number;
  unlisted: number;
  /** Garbage records. */
  garbage: number;
}

async function leftovers(directory: string): Promise<Leftovers> {
  using kv = await Deno.openKv(`${directory}/agentanycast.kv`);
  const used = new Set<string>();
  let unlisted = 0;
  for await (const { key, value } of kv.list<{ id?: string }>({ prefix: ["head"] })) {
    if (!value.id) continue;
    used.add(value.id);
    if ((await kv.get(["large", ...key.slice(1)])).versionstamp === null) unlisted++;
  }
  const ids = new Set(
    (await Array.fromAsync(kv.list({ prefix: ["chunk"] }))).map(({ key }) => String(key[1])),
  );
  const garbage = await Array.fromAsync(kv.list({ prefix: garbagePrefix }));
  return { unused: [...ids.difference(used)], chunked: used.size, unlisted, garbage: garbage.length };
}

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

const CHILD = ["run", "-A", new URL("kv_child.ts", import.meta.url).pathname];

function spawnChild(...args: string[]): Deno.ChildProcess {
  return spawn(Deno.execPath(), [...CHILD, ...args]);
}

function spawn(program: string, args: string[], env = {}): Deno.ChildProcess {
  return new Deno.Command(program, { args, env, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
}

/** Lines as the child says them; a last line without an end is dropped. */
async function* linesOf(child: Deno.ChildProcess): AsyncGenerator<string> {
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

async function endChild(child: Deno.ChildProcess): Promise<Deno.CommandStatus> {
  await child.stdin.close().catch(() => {}); // gone with a killed child
  return await child.status;
}

const open = (directory: string): Promise<KvStore> => openDenoKvStore({ directory });

/** That opening fails with this code and a message that names the path. */
async function assertOpenFails(directory: string, code: string, message: RegExp): Promise<CodedError> {
  const error = await open(directory).then(() => assert.fail("it opened"), (error: unknown) => error);
  assert.ok(error instanceof CodedError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.ok(error.message.includes(directory), error.message);
  return error;
}

Deno.test("openDenoKvStore() finds what an earlier one committed", async () => {
  await using dir = await tempDir();
  const values = [10, 100_000, 900_000].map((size) => patternBytes(size, size));
  {
    await using store = await open(dir.path);
    for (const [i, value] of values.entries()) await store.commit([{ op: "set", key: ["v", i], value }]);
  }
  await using store = await open(dir.path);
  const found = await Array.fromAsync(store.list(["v"]));
  assert.deepEqual(found.map(({ value }) => value), values);
});

Deno.test({
  name: "openDenoKvStore() makes its folder 0700 and tightens a looser one",
  ignore: !POSIX,
  fn: async () => {
    await using dir = await tempDir();
    const made = `${dir.path}/a/b`;
    await (await open(made))[Symbol.asyncDispose]();
    assert.deepEqual([modeOf(`${dir.path}/a`), modeOf(made), modeOf(`${made}/lock`)], [0o700, 0o700, 0o600]);
    await Deno.chmod(made, 0o755);
    await (await open(made))[Symbol.asyncDispose]();
    assert.equal(modeOf(made), 0o700);
  },
});

Deno.test("openDenoKvStore() throws aborted when this process has the store open", async () => {
  await using dir = await tempDir();
  await using _first = await open(dir.path);
  const error = await assertOpenFails(dir.path, "aborted", /is using it.*agentanycast stop/);
  if (POSIX) assert.equal(error.details.pid, String(Deno.pid));
});

Deno.test("openDenoKvStore() names the process that has the store until that one is killed", async () => {
  await using dir = await tempDir();
  const child = spawnChild("hold", dir.path);
  const lines = linesOf(child);
  assert.equal((await lines.next()).value, "open");
  const error = await assertOpenFails(dir.path, "aborted", /is using it.*agentanycast stop/);
  if (POSIX) {
    assert.match(error.message, new RegExp(`process ${child.pid} `));
    assert.equal(await Deno.readTextFile(`${dir.path}/lock`), `${child.pid}\n`);
  }
  child.kill("SIGKILL");
  await lines.next();
  await endChild(child);
  await using store = await open(dir.path);
  assert.ok(await store.commit([{ op: "set", key: ["a"], value: new Uint8Array(1) }]));
});

Deno.test("openDenoKvStore() can take the store again when it is disposed or failed to open", async () => {
  await using dir = await tempDir();
  await Deno.mkdir(`${dir.path}/agentanycast.kv`);
  await assertOpenFails(dir.path, "permission_denied", /unable to open/);
  await Deno.remove(`${dir.path}/agentanycast.kv`);
  for (let i = 0; i < 3; i++) await (await open(dir.path))[Symbol.asyncDispose]();
});

Deno.test("openDenoKvStore() throws data_loss when the file is no database", async () => {
  await using dir = await tempDir();
  await Deno.writeFile(`${dir.path}/agentanycast.kv`, patternBytes(20_000));
  await assertOpenFails(dir.path, "data_loss", /Restore it from a backup/);
});

Deno.test("get() throws data_loss when the database is damaged or chunks are missing", async () => {
  await using dir = await tempDir();
  {
    await using store = await open(dir.path);
    await store.commit([{ op: "set", key: ["v"], value: patternBytes(200_000) }]);
  }
  {
    using kv = await Deno.openKv(`${dir.path}/agentanycast.kv`);
    for await (const { key } of kv.list({ prefix: ["chunk"] }, { limit: 1 })) await kv.delete(key);
  }
  {
    await using store = await open(dir.path);
    const lost = (error: unknown) => error instanceof CodedError && error.code === "data_loss";
    await assert.rejects(store.get(["v"]), lost);
    await assert.rejects(Array.fromAsync(store.list([])), lost);
    await store.commit([{ op: "delete", key: ["v"] }]);
  }
  const database = await Deno.readFile(`${dir.path}/agentanycast.kv`);
  database.set(patternBytes(database.length - 4096), 4096);
  await Deno.writeFile(`${dir.path}/agentanycast.kv`, database);
  await assertOpenFails(dir.path, "data_loss", /malformed/);
});

Deno.test("openDenoKvStore() throws unavailable when the folder cannot be made", async () => {
  await using dir = await tempDir();
  await Deno.writeTextFile(`${dir.path}/file`, "");
  await assertOpenFails(`${dir.path}/file/store`, "unavailable", /Check the folder/);
});

Deno.test({
  name: "openDenoKvStore() throws permission_denied when the folder is read-only",
  ignore: !POSIX || Deno.uid() === 0,
  fn: async () => {
    await using dir = await tempDir();
    await Deno.mkdir(`${dir.path}/store`, { mode: 0o500 });
    await assertOpenFails(`${dir.path}/store`, "permission_denied", /write access/);
  },
});

Deno.test("openDenoKvStore() throws failed_precondition when the format is a newer one", async () => {
  await using dir = await tempDir();
  await (await open(dir.path))[Symbol.asyncDispose]();
  {
    using kv = await Deno.openKv(`${dir.path}/agentanycast.kv`);
    assert.equal((await kv.get(formatKey)).value, FORMAT_VERSION);
    await kv.set(formatKey, FORMAT_VERSION + 1);
  }
  await assertOpenFails(dir.path, "failed_precondition", /its format is 3, this version knows 2/);
});

Deno.test("openDenoKvStore() throws failed_precondition when Deno KV is told to stay in memory", async () => {
  await using dir = await tempDir();
  const child = spawn(Deno.execPath(), [...CHILD, "hold", dir.path], { DENO_KV_DB_MODE: "memory" });
  const [said] = await Array.fromAsync(linesOf(child));
  assert.match(said ?? "", /^failed_precondition: .*Unset it/);
  assert.equal((await endChild(child)).code, 1);
});

for (const [atOnce, size] of [[1, 300_000], [12, 50_000]] as const) {
  Deno.test({
    name: `commit() throws unavailable and loses nothing when the file cannot grow, ${atOnce} at once`,
    ignore: !POSIX,
    fn: async () => {
      await using dir = await tempDir();
      const script = 'trap "" XFSZ; ulimit -f 20000; exec "$@"'; // blocks of 512 bytes
      const args = [...CHILD, "fill", dir.path, String(atOnce)];
      const child = spawn("sh", ["-c", script, "sh", Deno.execPath(), ...args]);
      const [said] = await Array.fromAsync(linesOf(child));
      await endChild(child);
      const { done, codes } = JSON.parse(said ?? "");
      assert.ok(
        codes.length > 0 && codes.every((code: string) => code === "unavailable"),
        said ?? "it said nothing",
      );
      await using store = await open(dir.path);
      const found = await Array.fromAsync(store.list(["v"]));
      assert.equal(found.length, done);
      for (const { key, value } of found) {
        assert.ok(Buffer.from(value).equals(patternBytes(size, Number(key[1]))));
      }
    },
  });
}

Deno.test("commit() drops the chunks of values that are replaced, deleted or lose a check", async () => {
  await using dir = await tempDir();
  {
    await using store = await open(dir.path);
    const value = patternBytes(900_000);
    const keys = ["replaced", "deleted", "kept"];
    await store.commit(keys.map((key) => ({ op: "set", key: [key], value })));
    await store.commit([{ op: "set", key: ["replaced"], value: value.slice(0, 70_000) }]);
    await store.commit([{ op: "delete", key: ["deleted"] }]);
    const lost = [{ op: "check", key: ["kept"], revision: undefined }, {
      op: "set",
      key: ["kept"],
      value,
    }] as const;
    assert.equal(await store.commit(lost), undefined);
  }
  assert.deepEqual(await leftovers(dir.path), { unused: [], chunked: 2, unlisted: 0, garbage: 0 });
});

Deno.test("commit() leaves no chunks behind when many change one key at once", async () => {
  await using dir = await tempDir();
  {
    await using store = await open(dir.path);
    const changes = Array.from({ length: 20 }, (_, i): KvOperation => (
      i % 5 === 4 ? { op: "delete", key: ["v"] } : { op: "set", key: ["v"], value: patternBytes(100_000 + i) }
    ));
    assert.ok((await Promise.all(changes.map((change) => store.commit([change])))).every((done) => done));
  }
  assert.deepEqual(await leftovers(dir.path), { unused: [], chunked: 0, unlisted: 0, garbage: 0 });
});

Deno.test("openDenoKvStore() sweeps the garbage of interrupted commits", async () => {
  await using dir = await tempDir();
  await (await open(dir.path))[Symbol.asyncDispose]();
  {
    using kv = await Deno.openKv(`${dir.path}/agentanycast.kv`);
    await kv.set(garbageKey("a"), [{ id: "half", size: 200_000 }, { id: "whole", size: 61_441 }]);
    for (const chunk of [["half", 0], ["half", 1], ["whole", 0], ["whole", 1]]) {
      await kv.set(["chunk", ...chunk], patternBytes(10));
    }
  }
  await (await open(dir.path))[Symbol.asyncDispose]();
  assert.deepEqual(await leftovers(dir.path), { unused: [], chunked: 0, unlisted: 0, garbage: 0 });
});

/** Runs a child that commits without end and kills it after so many commits; answers what it said was done. */
async function crash(directory: string, round: number): Promise<string[]> {
  const child = spawnChild("crash", directory, String(round));
  const acknowledged: string[] = [];
  for await (const line of linesOf(child)) {
    assert.match(line, /^\d+-\w+-\d+$/);
    acknowledged.push(line);
    if (acknowledged.length === 40 + 170 * round) child.kill("SIGKILL");
  }
  assert.equal((await endChild(child)).signal, "SIGKILL");
  return acknowledged;
}

async function assertWhole(store: KvStore, acknowledged: readonly string[]): Promise<void> {
  const jobs = new Map((await Array.fromAsync(store.list(["job"]))).map((job) => [String(job.key[1]), job]));
  for (const id of acknowledged) assert.ok(jobs.has(id), `${id} was acknowledged and is gone`);
  const indexed = await Array.fromAsync(store.list(["index"]));
  assert.deepEqual(
    indexed.map(({ revision }) => revision),
    [...jobs.values()].map(({ revision }) => revision),
  );
  for await (const last of store.list(["last"])) {
    const name = String(last.key[1]);
    const size = name === "big" ? 150_000 : name === "bigger" ? 900_000 : 500;
    const job = [...jobs.values()].find(({ key, revision }) =>
      revision === last.revision && String(key[1]).split("-")[1] === name
    );
    const number = Number(String(job?.key[1]).split("-").at(-1));
    assert.ok(Buffer.from(last.value).equals(patternBytes(size, number)), `${name} is torn`);
  }
}

Deno.test("commit() keeps what it acknowledged and tears nothing when the process is killed", async () => {
  await using dir = await tempDir();
  const acknowledged: string[] = [];
  for (let round = 0; round < 5; round++) {
    acknowledged.push(...await crash(dir.path, round));
    await using store = await open(dir.path);
    await assertWhole(store, acknowledged);
  }
  // Closing stops a sweep after the record at hand, so each open removes at least one.
  let left = await leftovers(dir.path);
  while (left.garbage > 0) {
    await (await open(dir.path))[Symbol.asyncDispose]();
    const next = await leftovers(dir.path);
    assert.ok(next.garbage < left.garbage);
    left = next;
  }
  assert.deepEqual([left.unused, left.unlisted], [[], 0]);
});

/** Timers that are started meanwhile never end. */
function stopTimers(): Disposable {
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
  return { [Symbol.dispose]: () => void (globalThis.setTimeout = setTimeout) };
}

Deno.test("commit() that is in no hurry holds up neither another commit of its key nor the end of the store", async () => {
  await using dir = await tempDir();
  const store = await open(dir.path);
  const set = (key: string): KvOperation => ({ op: "set", key: [key], value: new Uint8Array(1) });
  using _stopped = stopTimers();
  const first = store.commit([set("a")], { unhurried: true });
  assert.ok(await store.commit([set("a")]));
  assert.ok(await first);
  const last = store.commit([set("b")], { unhurried: true });
  await store[Symbol.asyncDispose]();
  assert.ok(await last);
});
