/** A folder that is removed with all it holds when it is disposed. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

/** Makes an empty folder of mode 0700: `await using dir = await tempDir()`. */
export async function tempDir(): Promise<TempDir> {
  const path = await Deno.makeTempDir({ prefix: "agentanycast_test_" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
