import manifest from "../deno.json" with { type: "json" };

/** The version of this build, as `deno.json` gives it. */
export const VERSION: string = manifest.version;
