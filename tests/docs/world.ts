import { join } from "node:path";
import { bundleProgram, readProgram, runtimeFlags } from "../../scripts/compile/bundle.ts";
import { tempDir } from "../support/temp_dir.ts";
import type { Page } from "./page.ts";
import { runSession, type SessionOptions, type SessionReport } from "./session.ts";

const ROOT = join(import.meta.dirname ?? ".", "..", "..");
/** Sessions that run at once. */
const AT_ONCE = 3;

/** What Deno needs to get packages here. */
const FOR_DOWNLOADS = /^(?:DENO_|NPM_CONFIG_|SSL_CERT_|NODE_EXTRA_CA_CERTS$)/i;

/** Runs the blocks of `pages`, each session in a place of its own, with the program of this checkout on `PATH`. */
export async function runPages(
  pages: readonly Page[],
  { show }: Pick<SessionOptions, "show"> = {},
): Promise<SessionReport> {
  await using dir = await tempDir();
  const [bin, lock] = await Promise.all([makePrograms(dir.path), makeLock(join(dir.path, "first"))]);
  const sessions = [...Map.groupBy(pages, ({ session }) => session).values()];
  const report: SessionReport = { failures: [], ran: 0, notRun: [] };
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < sessions.length; at = next++) {
      const home = join(dir.path, String(at));
      await makeHome(home);
      await Deno.copyFile(lock, join(home, "hello", "deno.lock"));
      const env = environment(home, bin);
      const options = { home, env, ...(show !== undefined && { show }) };
      const { failures, ran, notRun } = await runSession(sessions[at] ?? [], options);
      report.failures.push(...failures);
      report.notRun.push(...notRun);
      report.ran += ran;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return report;
}

/** A user's folder with what "Getting started" leaves there: the checkout, and a folder `hello` for programs. */
async function makeHome(home: string): Promise<void> {
  await Deno.mkdir(join(home, "hello"), { recursive: true, mode: 0o700 });
  await Deno.symlink(ROOT, join(home, "agentanycast"));
  const config = {
    imports: { "@agentanycast/sdk": "jsr:@agentanycast/sdk@^0.1.0" },
    links: ["../agentanycast"],
  };
  await Deno.writeTextFile(join(home, "hello", "deno.json"), JSON.stringify(config));
}

/** Has Deno find out once which packages the SDK needs, and write it down for all homes; answers the file. */
async function makeLock(folder: string): Promise<string> {
  await makeHome(folder);
  const hello = join(folder, "hello");
  await Deno.writeTextFile(join(hello, "sdk.ts"), 'import "@agentanycast/sdk";\n');
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "sdk.ts"],
    cwd: hello,
  })
    .output();
  if (!success) throw new Error(`Cannot use the SDK in a folder: ${new TextDecoder().decode(stderr)}`);
  return join(hello, "deno.lock");
}

/** A folder with `agentanycast`, and `npx` that knows the one call with which pages get Deno. */
async function makePrograms(folder: string): Promise<string> {
  const bin = join(folder, "bin");
  await Deno.mkdir(bin);
  const program = await readProgram("agentanycast", join(ROOT, "deno.json"));
  const { dir, entry } = await bundleProgram(program, join(folder, "bundle"));
  const flags = [
    "--quiet",
    "--no-config",
    "--no-remote",
    "--no-npm",
    "--cached-only",
    ...runtimeFlags(program),
  ];
  const deno = Deno.execPath();
  await writeScript(
    join(bin, "agentanycast"),
    `exec '${deno}' run ${flags.join(" ")} '${join(dir, entry)}' "$@"`,
  );
  await writeScript(join(bin, "deno"), `exec '${deno}' "$@"`);
  const version = `deno@${Deno.version.deno}`;
  await writeScript(
    join(bin, "npx"),
    `[ "$1 $2" = '-y ${version}' ] || { echo "npx: not here: $*"; exit 127; }\nshift 2\nexec '${deno}' "$@"`,
  );
  return bin;
}

async function writeScript(file: string, body: string): Promise<void> {
  await Deno.writeTextFile(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

/** Keeps all that runs in a session on loopback, and away from its user's own home and from other sessions. */
function environment(home: string, bin: string): Record<string, string> {
  const relay = Object.fromEntries(
    ["REGISTRY", "MCP", "METRICS", "API"].map((name) => [`AGENTANYCAST_RELAY_${name}_LISTEN`, "127.0.0.1:0"]),
  );
  return {
    ...Object.fromEntries(Object.entries(Deno.env.toObject()).filter(([name]) => FOR_DOWNLOADS.test(name))),
    ...relay,
    HOME: home,
    PATH: `${bin}:${Deno.env.get("PATH")}`,
    DENO_DIR: Deno.env.get("DENO_DIR") ?? join(Deno.env.get("HOME") ?? "", ".cache", "deno"),
    DENO_NO_UPDATE_CHECK: "1",
    NO_COLOR: "1",
    LC_ALL: "C.UTF-8",
    AGENTANYCAST_BINARY: join(bin, "agentanycast"),
    AGENTANYCAST_LISTEN_ADDRS: "/ip4/127.0.0.1/tcp/0",
    AGENTANYCAST_RELAY_LISTEN_ADDRS: "/ip4/127.0.0.1/tcp/0",
    AGENTANYCAST_MDNS_INTERFACES: "127.0.0.1",
    AGENTANYCAST_MDNS_SERVICE_TAG: `_d${crypto.randomUUID().slice(0, 8)}._udp.local`,
  };
}
