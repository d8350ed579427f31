import type { A2aVersion } from "./a2a_call.ts";
import { a2aError } from "./a2a_error.ts";

/**
 * The version that a request asks for; patches make no difference. Without a word about it, it is `fallback`, which follows
 * from its method or path, so that clients of 0.3, which say nothing, are understood.
 * @throws CodedError VERSION_NOT_SUPPORTED.
 */
export function readVersion(header: string | undefined, fallback: A2aVersion): A2aVersion {
  const text = header?.trim() ?? "";
  if (text === "") return fallback;
  const [, major, minor = "0"] = /^(\d+)(?:\.(\d+))?(?:\.\d+)?$/.exec(text) ?? [];
  if (major === "1" && minor === "0") return "1.0";
  if (major === "0" && minor === "3") return "0.3";
  throw a2aError("VERSION_NOT_SUPPORTED", `A2A ${text.slice(0, 32)} is not supported: 1.0 and 0.3 are`);
}
