import type { JsonObject } from "../../../sdk/compat/mod.ts";

// What OASF demands of a record (https://schema.oasf.outshift.com, `objects/record` of 1.0.0 and 0.8.0) as JSON Schema, in our
// own words. What it demands of the taxonomy is left out but for its form: its classes are many and change with each version.

const text = { type: "string" };
const strings = { type: "array", items: text };
const annotations = { type: "object", additionalProperties: text };
/** A class of the taxonomy: known by its path or by its number. */
const classes = {
  type: "array",
  items: {
    type: "object",
    properties: {
      name: { type: "string", pattern: "^[a-z0-9_]+(/[a-z0-9_]+)*$" },
      id: { type: "integer" },
      annotations,
    },
    anyOf: [{ required: ["name"] }, { required: ["id"] }],
    additionalProperties: false,
  },
};

function moduleOf(data: JsonObject): JsonObject {
  return {
    if: { properties: { name: { const: "integration/a2a" } }, required: ["name"] },
    then: {
      type: "object",
      properties: { annotations, name: text, id: { const: 203 }, data },
      required: ["name", "data"],
      additionalProperties: false,
    },
    else: { type: "object", properties: { name: text }, required: ["name"] },
  };
}

function recordOf({ data, locator }: { data: JsonObject; locator: JsonObject }): JsonObject {
  return {
    type: "object",
    properties: {
      ...{
        name: text,
        version: text,
        schema_version: text,
        description: text,
        authors: strings,
        annotations,
      },
      ...{ skills: classes, domains: classes, previous_record_cid: text },
      created_at: {
        type: "string",
        pattern: "^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$",
      },
      modules: { type: "array", items: moduleOf(data) },
      locators: { type: "array", items: locator },
    },
    required: ["name", "version", "schema_version", "description", "authors", "created_at", "skills"],
    additionalProperties: false,
  };
}

/** By version of OASF. */
export const OASF_RECORD: Readonly<Record<"1.0.0" | "0.8.0", JsonObject>> = {
  "1.0.0": recordOf({
    data: {
      type: "object",
      properties: { card_data: { type: "object" }, card_schema_version: text },
      required: ["card_data"],
      additionalProperties: false,
    },
    locator: {
      type: "object",
      properties: {
        type: text,
        urls: { ...strings, minItems: 1 },
        annotations,
        size: { type: "integer" },
        digest: text,
      },
      required: ["type", "urls"],
      additionalProperties: false,
    },
  }),
  "0.8.0": recordOf({
    data: {
      type: "object",
      properties: { card_data: { type: "object" }, protocol_version: text },
      required: ["card_data", "protocol_version"],
      additionalProperties: false,
    },
    locator: {
      type: "object",
      properties: {
        type: {
          enum: ["binary", "unspecified", "helm_chart", "docker_image", "python_package", "source_code"],
        },
        ...{ url: text, annotations, size: { type: "integer" }, digest: text },
      },
      required: ["type", "url"],
      additionalProperties: false,
    },
  }),
};
