import { Buffer } from "node:buffer";
import type { JsonObject, JsonValue } from "../model.ts";
import { assertOneContent, type CompatPart, fromBase64, isWrapped, WRAPPED_DATA } from "./a2a_v1.ts";
import {
  asObject,
  asText,
  defined,
  isObject,
  nonEmpty,
  others,
  present,
  stringOrNothing,
  unreadable,
} from "./json.ts";

/** What a part was that its content does not tell, in its metadata. */
const TYPE = "mcp.type";
/** What else its block says, as JSON, in its metadata. */
const BLOCK = "mcp.block";
/** The same of the resource in its block. */
const RESOURCE = "mcp.resource";
/** Where its resource is, in its metadata. */
const URI = "uri";
const STRUCTURED = "structuredContent";
const KNOWN = ["text", "image", "audio", "resource_link", "resource"];
/** In `_meta` of a block: what its part says besides. */
const PART = "agentanycast.part";
/** The address of what has none. */
const NO_URI = "urn:agentanycast:part";

/** A block of content as a part; one of a type that is not known here as data. */
export function fromBlock(value: JsonValue, what: string): CompatPart {
  const block = asObject(value, what);
  const meta = isObject(block._meta) ? block._meta : {};
  const facts = isObject(meta[PART]) ? meta[PART] : undefined;
  if (facts !== undefined) return restored(block, facts, what);
  const rest = (used: readonly string[]) => nonEmpty(others(block, ["type", ...used]));
  switch (block.type) {
    case "text":
      return toPart({ text: asString(block.text, `text of ${what}`) }, { block: rest(["text"]) });
    case "image":
    case "audio": {
      const mediaType = stringOrNothing(block.mimeType);
      const type = mediaType?.startsWith(`${block.type}/`) ? undefined : block.type;
      const raw = fromBase64(block.data ?? null, `data of ${what}`);
      return toPart({ raw, mediaType }, { type, block: rest(["data", "mimeType"]) });
    }
    case "resource_link": {
      const facts = { url: asText(block.uri, `uri of ${what}`), filename: stringOrNothing(block.name) };
      const mediaType = stringOrNothing(block.mimeType);
      return toPart({ ...facts, mediaType }, { block: rest(["uri", "name", "mimeType"]) });
    }
    case "resource":
      return fromResource(asObject(block.resource, `resource of ${what}`), rest(["resource"]), what);
    default:
      asText(block.type, `type of ${what}`);
      return toPart({ data: block }, { type: "block" });
  }
}

function fromResource(resource: JsonObject, block: JsonObject | undefined, what: string): CompatPart {
  const uri = asText(resource.uri, `uri of ${what}`);
  const mediaType = stringOrNothing(resource.mimeType);
  const facts = { uri, block, resource: nonEmpty(others(resource, ["uri", "mimeType", "text", "blob"])) };
  if (resource.blob === undefined) {
    return toPart({ text: asString(resource.text, `text of ${what}`), mediaType }, facts);
  }
  const filename = uri.split("/").at(-1) || "resource";
  return toPart({ raw: fromBase64(resource.blob, `blob of ${what}`), mediaType, filename }, facts);
}

interface BlockFacts {
  readonly type?: string | undefined;
  readonly uri?: string;
  readonly block?: JsonObject | undefined;
  readonly resource?: JsonObject | undefined;
}

function toPart(
  content: { readonly [K in keyof CompatPart]?: CompatPart[K] | undefined },
  { type, uri, block, resource }: BlockFacts,
): CompatPart {
  const metadata = present({
    [TYPE]: type,
    [URI]: uri,
    [BLOCK]: block && JSON.stringify(block),
    [RESOURCE]: resource && JSON.stringify(resource),
  }) as Record<string, string>;
  return defined<CompatPart>({
    ...content,
    metadata: nonEmpty(metadata) as Record<string, string> | undefined,
  });
}

/** The part that a block was written from, which could not be told by a block alone. */
function restored(block: JsonObject, facts: JsonObject, what: string): CompatPart {
  const { _meta, ...plain } = block;
  const { text, raw, url } = fromBlock(plain, what);
  const said = facts.url === "" ? { url: "" } : { text, raw, url };
  const content = facts.isData === true ? { data: parsed(text, what) } : said;
  return defined<CompatPart>({
    ...content,
    mediaType: stringOrNothing(facts.mediaType),
    filename: stringOrNothing(facts.filename),
    metadata: isObject(facts.metadata) ? facts.metadata as Record<string, string> : undefined,
    extra: isObject(facts.extra) ? facts.extra : undefined,
  });
}

function parsed(text: string | undefined, what: string): JsonObject {
  try {
    return asObject(JSON.parse(text ?? ""), `data in ${what}`);
  } catch (cause) {
    throw unreadable(`data in ${what}`, String(cause), "give the JSON object as text");
  }
}

/** A part as a block of content. `isStructured`: its data are the structured content as well. */
export function toBlock(part: CompatPart, isStructured: boolean): JsonObject {
  const { data, url, raw, mediaType, filename, metadata, extra } = part;
  assertOneContent(part);
  // The bytes are left out of the comparison: they come through in any case.
  const light = raw === undefined ? part : { ...part, raw: NO_BYTES };
  const bare = bareBlock(light);
  if (bare !== undefined && isSame(fromBlock(bare, "the block"), light)) return bareBlock(part) ?? bare;
  const facts = present({
    ...{ mediaType, filename, metadata, extra },
    url: url === "" ? url : undefined,
    isData: data === undefined ? undefined : true,
    isStructured: isStructured || undefined,
  });
  return { ...plainBlock(part), _meta: { [PART]: facts } };
}

const NO_BYTES = new Uint8Array(0);

/** Whether a part is a block of a type that is not known here. */
export function isForeign({ data, metadata }: CompatPart): boolean {
  return metadata?.[TYPE] === "block" && typeof data?.type === "string" && !KNOWN.includes(data.type);
}

function isSame(some: CompatPart, other: CompatPart): boolean {
  const sorted = ({ metadata = {}, extra, ...rest }: CompatPart) =>
    JSON.stringify([Object.entries(rest).sort(), Object.entries(metadata).sort(), extra]);
  return sorted(some) === sorted(other);
}

/** The block that a part came from, if it came from one. */
function bareBlock(part: CompatPart): JsonObject | undefined {
  const { text, data: foreign, url, raw, mediaType, filename, metadata = {} } = part;
  if (foreign !== undefined) return isForeign(part) ? foreign : undefined;
  if (url === "" || metadata[URI] === "" || url !== undefined && filename === undefined) return undefined;
  const [rest, inner] = [factsIn(metadata[BLOCK]), factsIn(metadata[RESOURCE])];
  const { [URI]: uri, [TYPE]: type = /^(image|audio)\//.exec(mediaType ?? "")?.[1] } = metadata;
  if (url !== undefined) {
    return present({ type: "resource_link", uri: url, name: filename, mimeType: mediaType, ...rest });
  }
  const data = raw && Buffer.from(raw).toString("base64");
  if (uri !== undefined) {
    return {
      type: "resource",
      resource: present({ uri, mimeType: mediaType, text, blob: data, ...inner }),
      ...rest,
    };
  }
  if (text !== undefined) return { type: "text", text, ...rest };
  return data === undefined || type === undefined
    ? undefined
    : present({ type, data, mimeType: mediaType, ...rest });
}

function factsIn(text: string | undefined): JsonObject {
  try {
    const facts: unknown = JSON.parse(text ?? "{}");
    return isObject(facts) ? facts : {};
  } catch {
    return {}; // not written here: the part is told in another way
  }
}

/** A block for clients that know nothing of parts. */
function plainBlock({ text, data, url, raw, mediaType, filename }: CompatPart): JsonObject {
  if (text !== undefined) return { type: "text", text };
  if (data !== undefined) return { type: "text", text: JSON.stringify(data) };
  if (url !== undefined && url !== "") {
    return present({ type: "resource_link", uri: url, name: filename || url, mimeType: mediaType });
  }
  if (url !== undefined) return { type: "text", text: "" };
  const blob = Buffer.from(raw ?? NO_BYTES).toString("base64");
  const type = /^(image|audio)\//.exec(mediaType ?? "")?.[1];
  if (type !== undefined) return { type, data: blob, mimeType: mediaType ?? "" };
  return { type: "resource", resource: present({ uri: NO_URI, mimeType: mediaType, blob }) };
}

/** Structured content as a part. */
export function fromStructured(value: JsonValue): CompatPart {
  const facts = { mediaType: "application/json", metadata: { [TYPE]: STRUCTURED } };
  if (isObject(value)) return { data: value, ...facts };
  return { data: { value }, ...facts, metadata: { ...facts.metadata, [WRAPPED_DATA]: "true" } };
}

/** The data of a part as they were. */
export function unwrapped(part: CompatPart): JsonValue {
  return isWrapped(part) ? part.data?.value ?? null : part.data ?? {};
}

/** Whether a part is structured content and nothing else. */
export function isStructured(part: CompatPart): boolean {
  return part.data !== undefined && isSame(fromStructured(unwrapped(part)), part);
}

/** Whether a block is the text beside the structured content that it was written for here. */
export function isStructuredCopy(block: JsonValue): boolean {
  if (!isObject(block) || !isObject(block._meta)) return false;
  const facts = block._meta[PART];
  return isObject(facts) && facts.isStructured === true;
}

function asString(value: JsonValue | undefined, what: string): string {
  return value === "" ? "" : asText(value, what);
}
