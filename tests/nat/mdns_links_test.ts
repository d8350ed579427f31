// mDNS on links between network namespaces: a host on two of them, one without IPv4 and one without IPv6.
import assert from "node:assert/strict";
import { startChildHost } from "../p2p/start_child_host.ts";
import { labObstacle } from "./lab.ts";

const obstacle = await labObstacle();
if (obstacle !== undefined) console.log(`note: mDNS on several links is skipped: ${obstacle}`);

Deno.test({
  name: "mDNS finds peers on each interface of a host, over IPv6 where there is no IPv4",
  ignore: obstacle !== undefined,
  fn: async () => {
    const id = crypto.randomUUID().slice(0, 6);
    const [middle, six, four] = ["m", "6", "4"].map((name) => `aam${id}${name}`) as [string, string, string];
    await using stack = new AsyncDisposableStack();
    for (const name of [middle, six, four]) {
      await ip(`netns add ${name}`);
      stack.defer(() => ip(`netns del ${name}`));
      await ip(`-n ${name} link set lo up`);
      await inside(name, "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
    }
    await ip(`-n ${middle} link add to6 type veth peer name to6 netns ${six}`);
    await ip(`-n ${middle} link add to4 type veth peer name to4 netns ${four}`);
    for (
      const [name, link, address] of [
        [middle, "to6", "fd06::1/64"],
        [six, "to6", "fd06::2/64"],
        [middle, "to4", "10.9.0.1/24"],
        [four, "to4", "10.9.0.2/24"],
      ] as const
    ) {
      if (link === "to4") await inside(name, `echo 1 > /proc/sys/net/ipv6/conf/${link}/disable_ipv6`);
      await ip(`-n ${name} addr add ${address} dev ${link}`);
      await ip(`-n ${name} link set ${link} up`);
    }
    const tag = `_t${id}._udp.local`;
    const listen = ["/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0"];
    const hosts = [middle, six, four].map((name) =>
      startChildHost(tag, { inside: ["ip", "netns", "exec", name], listen })
    );
    const [seen = []] = await Promise.all([
      hosts[0]!.linesUntil((lines) => lines.filter((line) => line.startsWith("at ")).length === 2),
      ...hosts.slice(1).map((host) =>
        host.linesUntil((lines) => lines.some((line) => line.startsWith("at ")))
      ),
    ]);
    const at = seen.filter((line) => line.startsWith("at ")).sort();
    assert.match(at[0] ?? "", /^at \/ip4\/10\.9\.0\.2\/tcp\//);
    assert.match(at[1] ?? "", /^at \/ip6\/fd06::2\/tcp\//);
    for (const host of hosts) assert.equal((await host.stop()).code, 0);
  },
});

function inside(namespace: string, script: string): Promise<void> {
  return run(["ip", "netns", "exec", namespace, "sh", "-c", script]);
}

function ip(args: string): Promise<void> {
  return run(["ip", ...args.split(" ")]);
}

async function run([file = "", ...args]: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(file, { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
