import type { Task } from "../../a2a/mod.ts";

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
