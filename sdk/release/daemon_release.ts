import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { RELEASE_KEY } from "../../core/release_signature.ts";
import { VERSION } from "../../core/version.ts";
import { DaemonDownloadError } from "../errors.ts";

/** Where releases are; `{version}` stands for the version. */
const RELEASE_URL = "https://github.com/agentanycast/agentanycast/releases/download/v{version}";

const OS_NAMES: Readonly<Record<string, string>> = { linux: "linux", darwin: "macos", win32: "windows" };
const ARCHITECTURES = ["x64", "arm64"];
/** What loads a program on Linux; systems with another C library have none, and cannot run it. */
const LINUX_LOADERS: Readonly<Record<string, string>> = {
  x64: "/lib64/ld-linux-x86-64.so.2",
  arm64: "/lib/ld-linux-aarch64.so.1",
};
/** What else a user can do. */
const INSTEAD =
  "put the program on PATH, set daemonPath or AGENTANYCAST_BINARY to it, or set daemonAddr to a running daemon";

/** Where the daemon's program comes from when there is none on this machine. */
export interface DaemonRelease {
  readonly version: string;
  /** Folder of its files, ending with `/`. */
  readonly url: string;
  /** Ed25519, base64. */
  readonly publicKey: string;
  /** Name of the program for this platform. */
  readonly file: string;
  /** Where it is kept; a folder of its own. */
  readonly folder: string;
}

export interface ReleaseOptions {
  /** Default `AGENTANYCAST_RELEASE_URL`, else the official releases. */
  readonly releaseUrl?: string | undefined;
  /** Default `AGENTANYCAST_RELEASE_KEY`, else the official key. */
  readonly releaseKey?: string | undefined;
  /** Default: the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: this machine's. */
  readonly platform?: string;
  /** Default: this machine's. */
  readonly arch?: string;
  /** Whether a file is there. Default: on this machine. */
  readonly exists?: (path: string) => boolean;
}

/**
 * The release that this SDK belongs to. Throws {@link DaemonDownloadError} `unimplemented` for another platform, `invalid_argument`
 * for a bad URL or key, `failed_precondition` when there is no key that the release could be checked by.
 */
export function daemonRelease(options: ReleaseOptions = {}): DaemonRelease {
  const { env = process.env, platform = process.platform, arch = process.arch } = options;
  const file = releaseFile(platform, arch, options.exists ?? existsSync);
  const template = options.releaseUrl ?? (env.AGENTANYCAST_RELEASE_URL || RELEASE_URL);
  const url = template.replaceAll("{version}", VERSION).replace(/\/*$/, "/");
  if (!URL.canParse(url) || !["http:", "https:"].includes(new URL(url).protocol)) {
    throw new DaemonDownloadError(
      "invalid_argument",
      `Cannot download from ${template}: it is no http(s) URL`,
    );
  }
  return {
    version: VERSION,
    url,
    publicKey: checkedKey(options.releaseKey ?? (env.AGENTANYCAST_RELEASE_KEY || RELEASE_KEY)),
    file,
    folder: join(cacheFolder(platform, env), "agentanycast", "releases", VERSION),
  };
}

function checkedKey(key: string | undefined): string {
  if (key === undefined) {
    throw new DaemonDownloadError(
      "failed_precondition",
      `No agentanycast program on this machine, and it cannot be downloaded: no release of ${VERSION} has been published, so ` +
        `this SDK has no key that one could be checked by. Instead, ${INSTEAD}. Who serves a build of their own sets releaseUrl ` +
        "and releaseKey, or AGENTANYCAST_RELEASE_URL and AGENTANYCAST_RELEASE_KEY",
    );
  }
  if (/^[A-Za-z0-9+/]{43}=$/.test(key)) return key;
  throw new DaemonDownloadError(
    "invalid_argument",
    `Cannot check a release by the key ${
      JSON.stringify(key)
    }: an Ed25519 public key in base64 has 44 characters`,
  );
}

/** Name of the program in a release, such as `agentanycast-macos-arm64` or `agentanycast-windows-x64.exe`. */
function releaseFile(platform: string, arch: string, exists: (path: string) => boolean): string {
  const os = OS_NAMES[platform];
  if (os === undefined || !ARCHITECTURES.includes(arch)) {
    throw new DaemonDownloadError(
      "unimplemented",
      `Cannot download agentanycast for ${platform} on ${arch}: it is not released for that. Instead, ${INSTEAD}`,
    );
  }
  const loader = LINUX_LOADERS[arch] ?? "";
  if (os === "linux" && !exists(loader)) {
    throw new DaemonDownloadError(
      "unimplemented",
      `Cannot download agentanycast for this Linux: its program needs the GNU C library, and there is no ${loader} (Alpine ` +
        `has another one). Instead, ${INSTEAD}`,
    );
  }
  return `agentanycast-${os}-${arch}${os === "windows" ? ".exe" : ""}`;
}

function cacheFolder(platform: string, env: Readonly<Record<string, string | undefined>>): string {
  if (env.XDG_CACHE_HOME) return env.XDG_CACHE_HOME;
  if (platform === "darwin") return join(homedir(), "Library", "Caches");
  if (platform === "win32") return env.LOCALAPPDATA || join(homedir(), "AppData", "Local");
  return join(homedir(), ".cache");
}
