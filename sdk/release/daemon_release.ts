import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { VERSION } from "../../core/version.ts";
import { DaemonDownloadError } from "../errors.ts";

/** Where releases are; `{version}` stands for the version. */
const RELEASE_URL = "https://github.com/agentanycast/agentanycast/releases/download/v{version}";
/** The Ed25519 key that releases are signed by, in base64. */
const RELEASE_KEY = "vb94qg4phLlH6fpqf+N4ozl75TRwR5nLPXC3Yh6JRdQ=";

const OS_NAMES: Readonly<Record<string, string>> = { linux: "linux", darwin: "macos", win32: "windows" };
const ARCHITECTURES = ["x64", "arm64"];

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
}

/** The release that this SDK belongs to. Throws {@link DaemonDownloadError} `unimplemented` for another platform, `invalid_argument` for a bad URL. */
export function daemonRelease(options: ReleaseOptions = {}): DaemonRelease {
  const { env = process.env, platform = process.platform, arch = process.arch } = options;
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
    publicKey: options.releaseKey ?? (env.AGENTANYCAST_RELEASE_KEY || RELEASE_KEY),
    file: releaseFile(platform, arch),
    folder: join(cacheFolder(platform, env), "agentanycast", "releases", VERSION),
  };
}

/** Name of the program in a release, such as `agentanycast-macos-arm64` or `agentanycast-windows-x64.exe`. */
function releaseFile(platform: string, arch: string): string {
  const os = OS_NAMES[platform];
  if (os === undefined || !ARCHITECTURES.includes(arch)) {
    throw new DaemonDownloadError(
      "unimplemented",
      `Cannot download agentanycast for ${platform} on ${arch}: it is not released for that. Set daemonPath or ` +
        "AGENTANYCAST_BINARY to a program of your own, or daemonAddr to a running daemon",
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
