import type { Task } from "../../a2a/mod.ts";
import type { KvKey } from "../../kv/mod.ts";
import { compareAge, type YoungTask } from "./young_tasks.ts";

/** Text of a task that lists show, in UTF-16 units. */
const MAX_EXCERPT = 1000;

/** A task as lists show it: the request's text in short, artifacts by name. */
export function toListed(task: Task): Task {
  const messages = task.messages.slice(0, 1).map((message) => ({
    ...message,
    parts: message.parts.flatMap(({ content, ...part }) =>
      content.kind === "text"
        ? [{ ...part, content: { ...content, text: content.text.slice(0, MAX_EXCERPT) } }]
        : []
    ).slice(0, 1),
  }));
  return { ...task, messages, artifacts: task.artifacts.map((artifact) => ({ ...artifact, parts: [] })) };
}

/**
 * The keys of `young` and of an index, both of them the newest first; what both have comes once.
 * @param after where a listing goes on: keys before it, which are newer, are left out of `young`.
 */
export async function* newestFirst(
  young: readonly KvKey[],
  index: AsyncIterable<KvKey>,
  after: KvKey | undefined,
): AsyncGenerator<KvKey> {
  let next = after === undefined ? 0 : young.findIndex((key) => compareAge(ageOf(key), ageOf(after)) < 0);
  if (next < 0) next = young.length;
  for await (const key of index) {
    for (let one = young[next]; one !== undefined; one = young[++next]) {
      const order = compareAge(ageOf(one), ageOf(key));
      if (order < 0) break;
      if (order > 0) yield one;
    }
    yield key;
  }
  yield* young.slice(next);
}

/** The age that a key of an index by time tells. */
function ageOf(key: KvKey): YoungTask {
  return { createdAtMs: Number(key.at(-2)), taskId: String(key.at(-1)) };
}

/** What `items` gives, in groups of `size`; the last one may be smaller. */
export async function* inGroups<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const item of items) {
    if (group.push(item) < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
