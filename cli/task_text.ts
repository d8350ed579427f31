import type { Artifact, Message, Part, Task } from "../sdk/mod.ts";
import type { ReceivedFile } from "./saved_files.ts";
import { toFacts, visible, visibleLines } from "./output.ts";

/** Longest excerpt of a text in one line, in characters. */
const MAX_EXCERPT_CHARS = 60;

/** A task in full, for people. */
export function describeTask(task: Task): string[] {
  return [
    ...toFacts({
      "Task": visible(task.taskId),
      "Status": task.status,
      "Error": task.error && visible(task.error),
      "Peer": task.peerId && visible(task.peerId),
      "Skill": task.targetSkillId && visible(task.targetSkillId),
      "Context": visible(task.contextId),
      "Created": task.createdAt?.toISOString(),
      "Updated": task.updatedAt?.toISOString(),
      ...Object.fromEntries(
        Object.entries(task.metadata).map(([key, value]) => [`Metadata ${visible(key)}`, visible(value)]),
      ),
    }),
    ...task.messages.flatMap(describeMessage),
    ...task.artifacts.flatMap((artifact) => [
      `Artifact ${visible(artifact.name || artifact.artifactId || "")}`.trimEnd(),
      ...artifact.parts.flatMap(describePart).map((line) => `  ${line}`),
    ]),
  ];
}

function describeMessage({ role, parts }: Message): string[] {
  return [`Message from the ${role}`, ...parts.flatMap(describePart).map((line) => `  ${line}`)];
}

/** A part for people: text and data in full, files by name and size. */
export function describePart(part: Part): string[] {
  if (part.text !== undefined) return visibleLines(part.text);
  if (part.data !== undefined) return visibleLines(JSON.stringify(part.data, null, 2));
  const what = [part.filename, part.mediaType].flatMap((fact) => fact ? [visible(fact)] : []).join(", ");
  if (part.url !== undefined) return [`${visible(part.url)}${what && ` (${what})`}`];
  if (part.raw !== undefined) return [`[file ${what || "without a name"}, ${part.raw.length} bytes]`];
  return ["[empty part]"];
}

/** The bytes that artifacts carry, with a name for each. */
export function filesOf(artifacts: readonly Artifact[]): ReceivedFile[] {
  return artifacts.flatMap(({ name, parts }) =>
    parts.flatMap(({ raw, filename }) =>
      raw === undefined ? [] : [{ bytes: raw, filename: filename || name || "file" }]
    )
  );
}

/** The text of a task's first message, as {@link shorten} has it. */
export function excerptOf({ messages }: Task): string {
  return shorten(messageText(messages[0]));
}

/** The beginning of `text` in one line. */
export function shorten(text: string): string {
  const [line = "", more] = visibleLines(text);
  const isWhole = line.length <= MAX_EXCERPT_CHARS && more === undefined;
  return isWhole ? line : `${line.slice(0, MAX_EXCERPT_CHARS - 1)}…`;
}

/** All text of a message. */
export function messageText(message: Message | undefined): string {
  return message?.parts.flatMap(({ text }) => text ?? []).join("\n") ?? "";
}
