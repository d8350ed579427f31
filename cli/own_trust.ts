import type { Config } from "../core/config.ts";
import { CodedError } from "../core/errors.ts";
import type { Trust } from "../daemon/mod.ts";
import { type Identity, openIdentity } from "../identity/mod.ts";
import { findDaemon } from "./session.ts";

/** The identity of the home, which has to be there. @throws CodedError `not_found` and what `openIdentity` throws. */
export async function requireIdentity(config: Config): Promise<Identity> {
  try {
    await Deno.lstat(config.keyPath);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new CodedError(
      "not_found",
      `This node has no key yet (${config.keyPath}): start its daemon once, or \`identity import\` one`,
      { cause },
    );
  }
  return await openIdentity(config.keyPath);
}

/** Identity and trust of the home, for the length of a call. */
export async function openOwnTrust(
  config: Config,
): Promise<{ identity: Identity; trust: Trust } & Disposable> {
  const identity = await requireIdentity(config);
  const { openTrust } = await import("../daemon/mod.ts");
  const trust = openTrust(config, { identity });
  return { identity, trust, [Symbol.dispose]: () => trust[Symbol.dispose]() };
}

/** Tells the daemon of the home, when one runs, that its credentials have changed; answers whether one did. */
export async function reloadDaemon(config: Config): Promise<boolean> {
  await using session = await findDaemon(config.grpcListen);
  if (session === undefined) return false;
  await session.node.reloadDaemon();
  return true;
}

/** @throws CodedError `failed_precondition` while a daemon runs on the home. */
export async function refuseWhileRunning(config: Config, what: string): Promise<void> {
  await using session = await findDaemon(config.grpcListen);
  if (session === undefined) return;
  throw new CodedError(
    "failed_precondition",
    `Cannot ${what} while a daemon runs on ${config.home}: stop it with \`agentanycast stop --home ${config.home}\``,
  );
}
