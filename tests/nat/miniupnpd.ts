import { join } from "node:path";
import { RunningProgram } from "../support/program.ts";

/** Chains that the router's daemon fills, in a table of its own. */
const RULES = `
  table inet lab_upnp {
    chain through { type filter hook forward priority filter + 5; jump forwarded; }
    chain before { type nat hook prerouting priority dstnat; jump redirected; }
    chain after { type nat hook postrouting priority srcnat + 5; jump masked; }
    chain forwarded {}
    chain redirected {}
    chain masked {}
  }`;

/** Why miniupnpd cannot run here, or undefined when it can. */
export async function miniupnpdObstacle(): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await new Deno.Command("miniupnpd", { args: ["--version"], stdin: "null" })
      .output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    return said.includes("nftables") ? undefined : "miniupnpd is not built for nftables";
  } catch {
    return "there is no miniupnpd";
  }
}

/**
 * Runs miniupnpd, which many home routers have, in the network namespace `router` between its interfaces `wan` and `lan`:
 * UPnP and NAT-PMP. Resolves when it serves.
 */
export async function startMiniupnpd(
  router: string,
  run: (command: readonly string[], input?: string) => Promise<void>,
): Promise<AsyncDisposable> {
  const inside = ["ip", "netns", "exec", router];
  await run([...inside, "nft", "-f", "-"], RULES);
  await run([...inside, "ip", "route", "add", "239.0.0.0/8", "dev", "lan"]);
  const folder = await Deno.makeTempDir();
  const file = join(folder, "miniupnpd.conf");
  await Deno.writeTextFile(
    file,
    [
      "ext_ifname=wan",
      "listening_ip=lan",
      "enable_upnp=yes",
      "enable_natpmp=yes",
      "secure_mode=yes",
      "min_lifetime=2",
      "upnp_table_name=lab_upnp",
      "upnp_nat_table_name=lab_upnp",
      "upnp_forward_chain=forwarded",
      "upnp_nat_chain=redirected",
      "upnp_nat_postrouting_chain=masked",
      `uuid=${crypto.randomUUID()}`,
      "allow 1024-65535 192.168.7.0/24 1024-65535",
      "deny 0-65535 0.0.0.0/0 0-65535",
      "",
    ].join("\n"),
  );
  // It logs to standard error: the shell says when its sockets are there.
  const daemon = ["miniupnpd", "-d", "-f", file, "-P", join(folder, "pid")].join(" ");
  const script = `${daemon} 2>&1 & trap "kill $!" TERM; ` +
    `until ss -Huln | grep -q :5351; do sleep 0.05; done; echo SERVES=miniupnpd; wait $!`;
  const program = new RunningProgram([...inside, "sh", "-c", script]);
  await program.value("SERVES");
  return {
    async [Symbol.asyncDispose]() {
      await program.stop("SIGTERM");
      await Deno.remove(folder, { recursive: true });
    },
  };
}
