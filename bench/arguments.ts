/** A command line that cannot be followed; its message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A positive number. Throws {@link UsageError}. */
export function parsePositive(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`${flag} must be a positive number, got ${text}`);
}

/** A whole number of at least `min`. Throws {@link UsageError}. */
export function parseCount(flag: string, text: string, { min = 1 } = {}): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new UsageError(`${flag} must be a whole number of at least ${min}, got ${JSON.stringify(text)}`);
}

/** Whole numbers of at least `min`, separated by commas, each once, the smallest first. Throws {@link UsageError}. */
export function parseCounts(flag: string, text: string, options: { min?: number } = {}): number[] {
  const values = text.split(",").map((item) => parseCount(flag, item, options));
  return [...new Set(values)].toSorted((a, b) => a - b);
}

/** The entries that `only` names, in their own order; all without it. Throws {@link UsageError}. */
export function pickNamed<T extends { readonly name: string }>(
  entries: readonly T[],
  only: string | undefined,
): readonly T[] {
  if (only === undefined) return entries;
  const names = only.split(",").map((name) => name.trim());
  const known = entries.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return entries.filter(({ name }) => names.includes(name));
  throw new UsageError(`--only knows ${known.join(", ")}, got ${unknown.join(", ")}`);
}

/** Runs a bench; a {@link UsageError} is printed and ends the program with 2. */
export async function runBench(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
}
