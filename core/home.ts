import { CodedError, errorMessage } from "./errors.ts";
import type { Logger } from "./log.ts";

/** Bits of a file mode that give rights to the group and to others. */
const NOT_OWNER_BITS = 0o077;

/**
 * Makes the folder `home` (0700) when it is missing. One that others can look into is told and left as it is: it may be
 * theirs too. Throws `permission_denied` or `failed_precondition`.
 */
export async function makeHome(home: string, logger: Logger): Promise<void> {
  try {
    await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  } catch (error) {
    const denied = error instanceof Deno.errors.PermissionDenied ||
      error instanceof Deno.errors.NotCapable;
    throw new CodedError(
      denied ? "permission_denied" : "failed_precondition",
      `Cannot make the home ${home}: ${errorMessage(error)}. Name a folder this user may make with --home`,
      { cause: error, details: { home } },
    );
  }
  const { mode } = await Deno.stat(home);
  if (Deno.build.os === "windows" || mode === null || (mode & NOT_OWNER_BITS) === 0) return;
  logger.warn(
    `Others have access to the home: run \`chmod 700 ${home}\`, or use a folder of this node's own with --home`,
    { mode: (mode & 0o777).toString(8).padStart(4, "0") },
  );
}
