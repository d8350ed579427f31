import { LOG_LEVELS } from "../log.ts";
import { oneOf } from "../setting.ts";

/** What a program logs, and where. */
export const LOG_SETTINGS = {
  logLevel: oneOf(LOG_LEVELS, "info", LOG_LEVELS.join(", "), { aliases: { warning: "warn" } }),
  logFormat: oneOf(["text", "json"], "text", "text or json"),
  logOutput: oneOf(["both", "stderr", "file"], "both", "both, stderr or file"),
};
