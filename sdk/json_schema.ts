import { Ajv, type ErrorObject } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { errorMessage } from "../core/errors.ts";
import { AgentAnycastError } from "./errors.ts";
import type { JsonObject } from "./model.ts";

const OPTIONS = { allErrors: false, logger: false, strict: false, validateFormats: false } as const;
/** `$schema` of the drafts that newer ones have changed; all else is taken as draft 2020-12. */
const OLD_DRAFT = /draft-0[67]/;

/**
 * A check by a JSON Schema (draft 6, 7 or 2020-12; `format` is taken as a remark): what is wrong with a value, or undefined.
 * Throws `invalid_argument` for a schema that is none.
 */
export function compileJsonSchema(schema: JsonObject): (value: unknown) => string | undefined {
  const isOld = typeof schema.$schema === "string" && OLD_DRAFT.test(schema.$schema);
  try {
    const { $schema: _draft, ...rules } = schema;
    const validate = (isOld ? new Ajv(OPTIONS) : new Ajv2020(OPTIONS)).compile(rules);
    return (value) => validate(value) === true ? undefined : (validate.errors ?? []).map(explain).join("; ");
  } catch (error) {
    throw new AgentAnycastError("invalid_argument", `Cannot use the JSON Schema: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function explain({ instancePath, message, params }: ErrorObject): string {
  const extra = params.additionalProperty ?? params.unevaluatedProperty;
  return `${instancePath || "it"} ${message}${extra === undefined ? "" : ` (${extra})`}`;
}
