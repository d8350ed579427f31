import assert from "node:assert/strict";
import type { StreamEvent, Task, TaskUpdate } from "../../../a2a/mod.ts";
import { CodedError } from "../../../core/errors.ts";
import { followTask } from "../../../daemon/a2a_api/follow_task.ts";
import type { Json } from "../../support/test_bridge.ts";

const of = { taskId: "t", artifactId: "a" };
const begin = (more: Partial<StreamEvent> = {}): StreamEvent => ({
  ...{ kind: "start", ...of, artifactName: "a.txt", mediaType: "text/plain", totalChunks: 0, totalBytes: 0 },
  metadata: {},
  ...more,
} as StreamEvent);
const piece = (data: Uint8Array | string, isLast = false): StreamEvent => ({
  ...{ kind: "chunk", ...of, sequence: 0, isLast },
  data: typeof data === "string" ? new TextEncoder().encode(data) : data,
});
const end = (reason: "complete" | "error" = "complete"): StreamEvent => ({
  ...{ kind: "end", ...of, reason, sha256: new Uint8Array(), totalBytes: 0, errorMessage: "" },
});

const part = { content: { kind: "text", text: "whole" }, mediaType: "text/plain", metadata: {} } as const;
const completed: TaskUpdate = {
  ...{ taskId: "t", peerId: "p", generation: 3, status: "completed", atMs: 0, message: undefined },
  ...{ artifacts: [{ artifactId: "a", name: "a.txt", parts: [part] }], errorMessage: "" },
};
const task = { taskId: "t", contextId: "c", errorMessage: "" } as Task;

/** Follows a task for which `events` are streamed and `updates` happen. */
function follow(events: () => AsyncIterable<StreamEvent>, updates: readonly TaskUpdate[] = [completed]) {
  return followTask(
    {
      engine: {
        async *subscribe() {
          yield* await Promise.resolve(updates);
        },
      },
      streams: { subscribe: events },
    },
    task,
    { afterGeneration: 1, untilInterrupted: false, signal: new AbortController().signal },
  );
}

/** What is told: of pieces `append`, `lastChunk` and content, of the rest the state. */
async function told(events: readonly StreamEvent[]): Promise<Json[]> {
  const seen: Json[] = [];
  for await (
    const { response, isFinal } of follow(async function* () {
      yield* await Promise.resolve(events);
    })
  ) {
    const { artifactUpdate, statusUpdate }: Json = response;
    if (artifactUpdate === undefined) seen.push([statusUpdate.status.state, isFinal]);
    else {
      const { append = "whole", lastChunk, artifact } = artifactUpdate;
      seen.push([append, lastChunk, artifact.parts[0].text ?? artifact.parts[0].raw]);
    }
  }
  return seen;
}

const done = ["TASK_STATE_COMPLETED", true];

Deno.test("followTask() tells an artifact piece by piece, its end before that of the task, and not again", async () => {
  const seen = await told([begin(), piece("one "), piece("two"), end()]);
  assert.deepEqual(seen, [[false, false, "one "], [true, false, "two"], [true, true, ""], done]);
});

Deno.test("followTask() puts lastChunk on the last piece when it is known which it is", async () => {
  const marked = await told([begin(), piece("one "), piece("two", true), end()]);
  assert.deepEqual(marked, [[false, false, "one "], [true, true, "two"], done]);
  assert.deepEqual(await told([begin({ totalBytes: 3 }), piece("two"), end()]), [[false, true, "two"], done]);
  assert.deepEqual(await told([begin(), end()]), [[false, true, ""], done]);
});

Deno.test("followTask() keeps characters together that chunks have cut", async () => {
  const bytes = new TextEncoder().encode("é!");
  const seen = await told([begin(), piece(bytes.subarray(0, 1)), piece(bytes.subarray(1)), end()]);
  assert.deepEqual(seen, [[false, false, "é!"], [true, true, ""], done]);
});

Deno.test("followTask() tells other media types as raw bytes", async () => {
  for (const mediaType of ["", "application/json", "text/plain; charset=latin1"]) {
    const seen = await told([begin({ mediaType, totalBytes: 3 }), piece("abc"), end()]);
    assert.deepEqual(seen, [[false, true, "YWJj"], done], mediaType);
  }
});

Deno.test("followTask() begins anew with append false, and tells whole what was not streamed to its end", async () => {
  const again = await told([begin(), piece("on"), begin(), piece("one"), end()]);
  assert.deepEqual(again, [[false, false, "on"], [false, false, "one"], [true, true, ""], done]);
  const broken = await told([begin(), piece("on"), end("error")]);
  assert.deepEqual(broken, [[false, false, "on"], ["whole", true, "whole"], done]);
});

Deno.test("followTask() reads no further ahead than a piece of what its reader has taken", async () => {
  let read = 0;
  const following = follow(async function* () {
    yield begin();
    for (; read < 1_000; read++) yield await Promise.resolve(piece("x"));
  }, []);
  // An empty list of updates would end it: the first piece comes before.
  const first = await following.next();
  assert.equal(first.done, false);
  for (let i = 0; i < 200; i++) await Promise.resolve();
  assert.ok(read <= 2, `${read} pieces were read`);
  await following.return(undefined);
});

Deno.test("followTask() tells results whole to one reader more than streams have room for", async () => {
  const seen: Json[] = [];
  // deno-lint-ignore require-yield -- it refuses
  const refused = async function* (): AsyncGenerator<StreamEvent> {
    throw await Promise.resolve(new CodedError("resource_exhausted", "32 subscribers"));
  };
  for await (const { response } of follow(refused)) seen.push(Object.keys(response)[0]);
  assert.deepEqual(seen, ["artifactUpdate", "statusUpdate"]);
});
