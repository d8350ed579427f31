import type { JsonObject } from "../model.ts";
import {
  type A2aVersion,
  fromOlderArtifact,
  fromOlderMessage,
  fromOlderPart,
  fromOlderTask,
  toOlderArtifact,
  toOlderMessage,
  toOlderPart,
  toOlderTask,
} from "./a2a_dialect.ts";
import {
  type CompatArtifact,
  type CompatMessage,
  type CompatPart,
  type CompatTask,
  fromArtifactV1,
  fromMessageV1,
  fromPartV1,
  fromTaskV1,
  toArtifactV1,
  toMessageV1,
  toPartV1,
  toTaskV1,
} from "./a2a_v1.ts";
import { asObject } from "./json.ts";

/** Which form of A2A is meant. */
export interface A2aOptions {
  /** Default `1.0`. */
  readonly version?: A2aVersion;
}

/**
 * A task as JSON of A2A. What A2A has no member for goes into its metadata as `agentanycast.task`, so that
 * {@link fromA2aTask} gives the same task back; messages and artifacts without an id are given one.
 */
export function toA2aTask(task: CompatTask, { version = "1.0" }: A2aOptions = {}): JsonObject {
  const json = toTaskV1(task);
  return version === "1.0" ? json : toOlderTask(json, version);
}

/**
 * The task of a JSON of A2A; a last word in its status is the last of its messages. What has no place in a task is kept as
 * `extra`. Throws `AgentAnycastError` with `invalid_argument` for what is no task.
 */
export function fromA2aTask(json: unknown, { version = "1.0" }: A2aOptions = {}): CompatTask {
  return fromTaskV1(version === "1.0" ? json : fromOlderTask(asObject(json, "the A2A task"), version));
}

/** A message as JSON of A2A; without an id it is given a random one. */
export function toA2aMessage(message: CompatMessage, { version = "1.0" }: A2aOptions = {}): JsonObject {
  const json = toMessageV1(message, crypto.randomUUID());
  return version === "1.0" ? json : toOlderMessage(json, version);
}

/** The message of a JSON of A2A. Throws `AgentAnycastError` with `invalid_argument` for what is no message. */
export function fromA2aMessage(json: unknown, { version = "1.0" }: A2aOptions = {}): CompatMessage {
  const message = asObject(json, "the A2A message");
  return fromMessageV1(version === "1.0" ? message : fromOlderMessage(message, version), "the A2A message");
}

/** An artifact as JSON of A2A; without an id it is given a random one. */
export function toA2aArtifact(artifact: CompatArtifact, { version = "1.0" }: A2aOptions = {}): JsonObject {
  const json = toArtifactV1(artifact, crypto.randomUUID());
  return version === "1.0" ? json : toOlderArtifact(json, version);
}

/** The artifact of a JSON of A2A. Throws `AgentAnycastError` with `invalid_argument` for what is no artifact. */
export function fromA2aArtifact(json: unknown, { version = "1.0" }: A2aOptions = {}): CompatArtifact {
  const artifact = asObject(json, "the A2A artifact");
  return fromArtifactV1(
    version === "1.0" ? artifact : fromOlderArtifact(artifact, version),
    "the A2A artifact",
  );
}

/** A part as JSON of A2A. Throws `TypeError` unless it has exactly one content. */
export function toA2aPart(part: CompatPart, { version = "1.0" }: A2aOptions = {}): JsonObject {
  const json = toPartV1(part);
  return version === "1.0" ? json : toOlderPart(json, version);
}

/**
 * The part of a JSON of A2A. Data that are no object become one with the member `value`, and go back as what they were. Throws
 * `AgentAnycastError` with `invalid_argument` unless it has exactly one content.
 */
export function fromA2aPart(json: unknown, { version = "1.0" }: A2aOptions = {}): CompatPart {
  const part = asObject(json, "the A2A part");
  return fromPartV1(version === "1.0" ? part : fromOlderPart(part, version), "the A2A part");
}
