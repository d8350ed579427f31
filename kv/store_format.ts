import { CodedError } from "../core/errors.ts";
import { FORMAT_VERSION, formatKey, fromHeadKey, headPrefix, largeKey } from "./keys.ts";
import { INDEXED } from "./large_values.ts";

/** Large values indexed in one atomic; their keys stay far below what it takes. */
const KEYS_PER_WRITE = 50;

/**
 * Makes the database at `path` one of {@link FORMAT_VERSION}, or throws `failed_precondition` when a newer version wrote it.
 * Writes the version each time: a store that cannot be written should fail when it is opened.
 */
export async function claimFormat(kv: Deno.Kv, path: string): Promise<void> {
  const { value } = await kv.get(formatKey);
  if (value === 1) await indexLargeValues(kv);
  else if (value !== null && value !== FORMAT_VERSION) {
    throw new CodedError(
      "failed_precondition",
      `Cannot open the store ${path}: its format is ${value}, this version knows ${FORMAT_VERSION}. ` +
        "Use the version that wrote it, or another home",
    );
  }
  await kv.set(formatKey, FORMAT_VERSION);
}

/** Format 1 had no index of large values. Only adds to it, so that an interrupted run can just start again. */
async function indexLargeValues(kv: Deno.Kv): Promise<void> {
  let atomic = kv.atomic();
  let count = 0;
  for await (const { key, value } of kv.list({ prefix: headPrefix })) {
    if (value instanceof Uint8Array) continue;
    atomic.set(largeKey(fromHeadKey(key)), INDEXED);
    if (++count % KEYS_PER_WRITE !== 0) continue;
    await atomic.commit();
    atomic = kv.atomic();
  }
  await atomic.commit();
}
