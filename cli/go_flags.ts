/** Whether a flag takes a value or is true by being there. */
export type GoFlagKind = "value" | "switch";

/**
 * `argv` as Go programs take it (`-key=x`, `-key x`, `--key=x`, `-mcp`, `-mcp=true`), rewritten to `--key=x` and `--mcp`.
 * Only the flags named in `flags` are touched; what follows `--` is left alone.
 */
export function normalizeGoFlags(
  argv: readonly string[],
  flags: ReadonlyMap<string, GoFlagKind>,
): string[] {
  const normalized: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const token = argv[i] as string;
    if (token === "--") return [...normalized, ...argv.slice(i)];
    const [, name = "", value] = /^--?([a-z][a-z0-9-]+)(?:=([\s\S]*))?$/.exec(token) ?? [];
    const kind = flags.get(name);
    if (kind === undefined) normalized.push(token);
    else if (kind === "switch") {
      normalized.push(value === undefined || value === "true" ? `--${name}` : `--${name}=${value}`);
    } else {
      const given = value ?? argv[++i];
      normalized.push(given === undefined ? `--${name}` : `--${name}=${given}`);
    }
  }
  return normalized;
}
