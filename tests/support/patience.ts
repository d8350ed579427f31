/** How long a test waits for what should come at once: longer than a starved machine takes for it. */
export const PATIENCE_MS = 60_000;
/** How long a program may take that is started from its sources, until it says something or ends. */
export const PROGRAM_MS = 120_000;

/** `promise`, which fails when it takes too long and says what was waited for. */
export async function within<T>(what: string, promise: Promise<T>, limitMs = PATIENCE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Conditions that are waited for; they are looked at whenever somebody says that something changed. */
export class Changes {
  readonly #waiting = new Set<() => void>();

  /** To be called when something has changed that may be waited for. */
  readonly tell = (): void => {
    for (const look of [...this.#waiting]) look();
  };

  /** Resolves when `condition` holds, and fails when that takes too long. */
  async until(
    condition: () => boolean,
    what = String(condition),
    limitMs = PATIENCE_MS,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      try {
        if (condition()) resolve();
      } catch (error) {
        reject(error);
      }
    };
    this.#waiting.add(look);
    try {
      look();
      await within(what, promise, limitMs);
    } finally {
      this.#waiting.delete(look);
    }
  }
}

/** Looks at `condition` often, where nobody tells of changes, and fails when it takes too long to hold. */
export async function untilHolds(
  condition: () => boolean | Promise<boolean>,
  limitMs = PATIENCE_MS,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!await within(String(condition), Promise.try(condition), limitMs)) {
    if (performance.now() > endMs) throw new Error(`${condition} did not hold within ${limitMs} ms`);
    await new Promise<void>((resolve) => setTimeout(() => resolve(), 20));
  }
}
