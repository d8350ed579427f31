import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Message, Part, PartContent } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import * as pb from "../../gen/lf/a2a/v1/a2a_pb.ts";
import { a2aError } from "./a2a_error.ts";
import { WRAPPED_DATA } from "./task_json.ts";

/** Kinds of content that an agent which declares none is given. */
export const USUAL_INPUT_MODES: readonly string[] = [
  "text/plain",
  "text/*",
  "application/json",
  "application/octet-stream",
  "application/pdf",
  "application/xml",
  "application/yaml",
  "application/zip",
  "application/*+json",
  "application/*+xml",
  "image/*",
  "audio/*",
  "video/*",
];

const MAX_ID_LENGTH = 256;
const MAX_PARTS = 1_000;

/**
 * A message of a caller, checked. @param inputModes media types that its agent takes.
 * @throws CodedError `invalid_argument`, also as CONTENT_TYPE_NOT_SUPPORTED.
 */
export function fromMessage(message: pb.Message | undefined, inputModes: readonly string[]): Message {
  if (message === undefined) throw invalid("message", "is missing");
  const { messageId, role, parts, metadata, extensions, referenceTaskIds } = message;
  if (messageId === "") throw invalid("message.messageId", "is missing");
  if (messageId.length > MAX_ID_LENGTH) {
    throw invalid("message.messageId", `is longer than ${MAX_ID_LENGTH} characters`);
  }
  if (role !== pb.Role.USER) throw invalid("message.role", "must be ROLE_USER");
  if (parts.length === 0) throw invalid("message.parts", "must have at least one part");
  if (parts.length > MAX_PARTS) throw invalid("message.parts", `has more than ${MAX_PARTS}`);
  return {
    messageId,
    role: "user",
    parts: parts.map((part, i) => fromPart(part, { at: `message.parts[${i}]`, inputModes })),
    createdAtMs: Date.now(),
    ...(metadata && { metadata }),
    ...(extensions.length > 0 && { extensions }),
    ...(referenceTaskIds.length > 0 && { referenceTaskIds }),
  };
}

/** @throws CodedError `invalid_argument`. */
export function invalid(what: string, problem: string): CodedError {
  return new CodedError("invalid_argument", `Invalid parameters: ${what} ${problem}`);
}

/** Whether one of `modes` (`image/png`, `image/*`, `application/*+json`) takes the media type. */
function takesMediaType(modes: readonly string[], mediaType: string): boolean {
  const type = mediaType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return modes.some((mode) => {
    const [before, after] = mode.toLowerCase().split("*", 2);
    if (after === undefined) return before === type;
    return type.length >= mode.length && type.startsWith(before ?? "") && type.endsWith(after);
  });
}

function fromPart(part: pb.Part, { at, inputModes }: { at: string; inputModes: readonly string[] }): Part {
  const { mediaType, metadata = {}, filename } = part;
  if (mediaType !== "" && !takesMediaType(inputModes, mediaType)) {
    throw a2aError(
      "CONTENT_TYPE_NOT_SUPPORTED",
      `${at}: this agent does not take ${mediaType}; it takes ${inputModes.join(", ")}`,
    );
  }
  const content = part.content;
  if (content.case === "data") {
    const data = toJson(ValueSchema, content.value);
    const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
    return {
      content: { kind: "data", data: isObject ? data as JsonObject : { value: data } },
      mediaType,
      metadata: isObject ? metadata : { ...metadata, [WRAPPED_DATA]: "true" },
      ...(filename !== "" && { filename }),
    };
  }
  return { content: fromContent(content, { at, filename }), mediaType, metadata, ...named(part) };
}

/** A text has no place for a file's name of its own. */
function named({ content, filename }: pb.Part): { filename?: string } {
  return content.case === "text" && filename !== "" ? { filename } : {};
}

function fromContent(
  content: Exclude<pb.Part["content"], { case: "data" }>,
  { at, filename }: { at: string; filename: string },
): PartContent {
  switch (content.case) {
    case "text":
      return { kind: "text", text: content.value };
    case "raw":
      return { kind: "raw", data: content.value, filename };
    case "url":
      if (!URL.canParse(content.value)) throw invalid(`${at}.url`, "is not a URL");
      return { kind: "url", url: content.value, filename };
    case undefined:
      throw invalid(at, "must have one of text, raw, url and data");
    default:
      return content satisfies never;
  }
}
