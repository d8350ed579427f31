import type { JsonObject, JsonValue } from "../model.ts";
import type { CompatArtifact } from "./a2a_v1.ts";
import { asList, asObject, defined, isObject, nonEmpty, others, present, stringOrNothing } from "./json.ts";
import {
  fromBlock,
  fromStructured,
  isForeign,
  isStructured,
  isStructuredCopy,
  toBlock,
  unwrapped,
} from "./mcp_block.ts";

/** What a tool of MCP answered, as results of a task. */
export interface McpAnswer {
  /** What it answered: one artifact, unless the result was written from several. */
  readonly artifacts: readonly CompatArtifact[];
  /** Why it failed, in its own words; undefined when it did not. */
  readonly error?: string;
  /** What else the result says. */
  readonly extra?: JsonObject;
}

/** In `_meta` of a result: how its content is divided. */
const ARTIFACTS = "agentanycast.artifacts";
/** In `_meta` of a result: why it failed, where its content does not say it. */
const ERROR = "agentanycast.error";
const KEYS = ["content", "structuredContent", "isError", "_meta"];

/**
 * What a tool of MCP answered (a `CallToolResult`) as results of a task: a part for each block of content, and one of data for
 * its structured content. What a block says besides goes into the metadata of its part, so that it travels over the network.
 * Throws `AgentAnycastError` with `invalid_argument` for what is no result.
 */
export function fromMcpResult(value: unknown): McpAnswer {
  const json = asObject(value, "the MCP result");
  const content = asList(json.content, "content of the MCP result");
  const meta = isObject(json._meta) ? json._meta : {};
  const { structuredContent } = json;
  const isCopied = structuredContent !== undefined && content.some(isStructuredCopy);
  const parts = content.map((block, at) => fromBlock(block, `content[${at}] of the MCP result`));
  if (structuredContent !== undefined && !isCopied) parts.push(fromStructured(structuredContent));
  return defined<McpAnswer>({
    artifacts: divided(parts, meta[ARTIFACTS]),
    error: json.isError === true ? stringOrNothing(meta[ERROR]) ?? textIn(content) : undefined,
    extra: nonEmpty(present({
      ...others(json, KEYS),
      isError: json.isError === true ? undefined : json.isError,
      _meta: nonEmpty(others(meta, [ARTIFACTS, ERROR])),
    })),
  });
}

/**
 * Results of a task as what a tool of MCP answers: {@link fromMcpResult} gives the same results back. Data that are in one part
 * only become structured content, with a text beside it for clients that do not read that; other data become texts. Throws
 * `TypeError` for a part that has not exactly one content.
 */
export function toMcpResult({ artifacts, error, extra = {} }: McpAnswer): JsonObject {
  const parts = artifacts.flatMap((artifact) => artifact.parts);
  const data = parts.filter((part) => part.data !== undefined && !isForeign(part));
  const last = parts.at(-1);
  const original = last !== undefined && isStructured(last) ? last : undefined;
  const structured = original ?? (data.length === 1 ? data[0] : undefined);
  const blocks = parts.filter((part) => part !== original).map((part) => toBlock(part, part === structured));
  const content = artifacts.length === 0 && error !== undefined ? [{ type: "text", text: error }] : blocks;
  const { _meta, ...rest } = extra;
  return present({
    content,
    structuredContent: structured === undefined ? undefined : unwrapped(structured),
    isError: error === undefined ? undefined : true,
    ...rest,
    _meta: nonEmpty(present({
      ...(isObject(_meta) && _meta),
      [ARTIFACTS]: toDivision(artifacts),
      [ERROR]: error === textIn(content) ? undefined : error,
    })),
  });
}

function textIn(content: readonly JsonValue[]): string {
  const texts = content.filter(isObject).filter(({ type }) => type === "text");
  return texts.map(({ text }) => String(text ?? "")).join("\n");
}

/** How the content is divided; undefined for one artifact that says nothing of itself. */
function toDivision(artifacts: readonly CompatArtifact[]): JsonObject[] | undefined {
  const division = artifacts.map(({ parts, artifactId, name, extra }) =>
    present({ parts: parts.length, artifactId, name, extra })
  );
  return division.length === 1 && Object.keys(division[0] ?? {}).length === 1 ? undefined : division;
}

/** Parts by what is told of their division; all in one artifact when nothing is, or what does not fit. */
function divided(parts: CompatArtifact["parts"], division: JsonValue | undefined): CompatArtifact[] {
  const told = Array.isArray(division) ? division.filter(isObject) : [];
  const counts = told.map((one) => Number(one.parts));
  const isEmpty = Array.isArray(division) && division.length === 0;
  if (isEmpty) return [];
  if (told.length === 0 || counts.reduce((sum, count) => sum + count, 0) !== parts.length) return [{ parts }];
  let at = 0;
  return told.map((one, i) =>
    defined<CompatArtifact>({
      parts: parts.slice(at, at += counts[i] ?? 0),
      artifactId: stringOrNothing(one.artifactId),
      name: stringOrNothing(one.name),
      extra: isObject(one.extra) ? one.extra : undefined,
    })
  );
}
