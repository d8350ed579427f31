import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VERSION } from "../../core/version.ts";
import { publicKeyOf, signRelease } from "../../scripts/sign_release.ts";
import { type DaemonRelease, daemonRelease } from "../../sdk/release/daemon_release.ts";

/** A key that signs nothing. */
export const OTHER_KEY = publicKeyOf(newKey());
/** Name of the program for this machine. */
export const FILE = daemonRelease({ env: {}, releaseKey: OTHER_KEY }).file;

/** A signed release on loopback, and an empty cache for it. */
export interface ReleaseSite extends AsyncDisposable {
  readonly release: DaemonRelease;
  readonly files: Map<string, Uint8Array>;
  /** Path and range of each request. */
  readonly requests: string[];
  /** Bytes of the program after which the connection is cut, one per request. */
  readonly cuts: number[];
}

/** Serves `program` as the release for this machine; `ranges` tells whether the server can go on in the middle. */
export async function startReleaseSite(
  program: Uint8Array<ArrayBuffer>,
  { ranges = true } = {},
): Promise<ReleaseSite> {
  const folder = await Deno.makeTempDir({ prefix: "release" });
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", program));
  await writeFile(join(folder, FILE), program);
  await writeFile(join(folder, "SHA256SUMS"), `${digest.toHex()}  ${FILE}\n`);
  const pem = newKey();
  const publicKey = publicKeyOf(pem);
  await signRelease(pem, folder, { trusted: publicKey });
  const files = new Map<string, Uint8Array>([[FILE, program]]);
  for (const name of ["SHA256SUMS", "SHA256SUMS.sig"]) files.set(name, await readFile(join(folder, name)));
  const [requests, cuts]: [string[], number[]] = [[], []];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const name = new URL(request.url).pathname.slice(1);
    const range = request.headers.get("range");
    requests.push(range === null ? name : `${name} ${range}`);
    const bytes = files.get(name);
    if (bytes === undefined) return new Response("no such file", { status: 404 });
    const start = ranges && range !== null ? Number(range.match(/\d+/)) : 0;
    if (start >= bytes.length && start > 0) return new Response(null, { status: 416 });
    const body = bytes.slice(start);
    const headers = {
      "content-length": String(body.length),
      ...(start > 0 && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    };
    const cut = name === FILE ? cuts.shift() : undefined;
    return new Response(cut === undefined ? body : cutShort(body.slice(0, cut)), {
      status: start > 0 ? 206 : 200,
      headers,
    });
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const release = { version: VERSION, url, publicKey, file: FILE, folder: join(folder, "cache", VERSION) };
  const stop = async () => {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  };
  return { release, files, requests, cuts, [Symbol.asyncDispose]: stop };
}

function cutShort(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      // Before the length that was told, and not before the bytes are on their way.
      setTimeout(() => controller.close(), 50);
    },
  });
}

/** A new Ed25519 key as PEM. */
export function newKey(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}
