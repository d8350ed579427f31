import { VERSION } from "../../core/version.ts";
import { errorMessage } from "../../core/errors.ts";
import { openIdentity } from "../../identity/mod.ts";
import { daemonLogPath } from "../../core/daemon_log.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toFacts } from "../output.ts";
import { findDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Prints what there is to know without a daemon. */
export async function run({ output, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  await using session = await findDaemon(config.grpcListen);
  const identity = await readIdentity(config.keyPath);
  const info = {
    version: VERSION,
    deno: Deno.version.deno,
    platform: Deno.build.target,
    home: config.home,
    config: config.configPath,
    key: config.keyPath,
    store: config.storePath,
    log: daemonLogPath(config.home),
    grpc: config.grpcListen,
    daemonRunning: session !== undefined,
    ...identity,
  };
  output.result(info, () =>
    toFacts({
      "Version": info.version,
      "Deno": info.deno,
      "Platform": info.platform,
      "Home": info.home,
      "Config": info.config,
      "Key": `${info.key}${info.keyExists ? "" : " (made at the first start)"}`,
      "Store": info.store,
      "Log": info.log,
      "gRPC": info.grpc,
      "Daemon": info.daemonRunning ? "running" : "not running",
      "Peer id": info.peerId,
      "DID": info.did,
      "Key problem": info.keyProblem,
    }));
  return EXIT_OK;
}

interface KeyFacts {
  readonly keyExists: boolean;
  readonly peerId?: string;
  readonly did?: string;
  readonly keyProblem?: string;
}

/** Who the key makes this node; never makes a key. */
async function readIdentity(path: string): Promise<KeyFacts> {
  try {
    await Deno.lstat(path);
    const { peerId, didKey } = await openIdentity(path);
    return { keyExists: true, peerId, did: didKey };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { keyExists: false };
    return { keyExists: true, keyProblem: errorMessage(error) };
  }
}
