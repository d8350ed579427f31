import { join } from "node:path";
import { RunningProgram } from "../support/program.ts";
import { startMiniupnpd } from "./miniupnpd.ts";
import { ImpairedNetwork, type Impairment } from "./impaired_network.ts";

/** How a host of the laboratory is connected to the network that all share. */
export const NAT_KINDS = [
  "open",
  "full-cone",
  "port-restricted",
  "symmetric",
  "firewall",
  "udp-blocked",
  "port-mapping",
  "miniupnpd",
] as const;

/** One of {@link NAT_KINDS}. */
export type NatKind = (typeof NAT_KINDS)[number];

/** A host: a network namespace of its own. */
export interface LabHost {
  readonly kind: NatKind;
  /** Its own address, which others can reach only where `kind` lets them. */
  readonly address: string;
  /** The command that runs `command` on it. */
  command(command: readonly string[]): string[];
  /** The address of its router on the shared network; its own when it has none. */
  readonly outside: string;
  /** Cuts it off from everything, or joins it again. */
  setLink(state: "up" | "down"): Promise<void>;
  /** Has what is between it and the shared network drop all of UDP, or end that. */
  setUdp(state: "blocked" | "open"): Promise<void>;
  /** Swallows all its packets while its links stay up, or ends that: its peers hold half-open connections. */
  setWire(state: "cut" | "join"): Promise<void>;
}

/** Network namespaces: one network, hosts on it, and hosts behind routers of their own. */
export interface Lab extends AsyncDisposable {
  /** Adds a host; behind a router unless it is `open`. */
  addHost(kind: NatKind): Promise<LabHost>;
}

/** What each kind of router does, in nftables. `wan` leads to the shared network, `lan` to the host at 192.168.7.2. */
const RULES: Readonly<Record<Exclude<NatKind, "miniupnpd">, string>> = {
  "open": "",
  // Every packet for the router is the host's, and the host keeps its ports.
  "full-cone": `
    table ip lab {
      chain before { type nat hook prerouting priority dstnat; iifname "wan" dnat to 192.168.7.2; }
      chain after { type nat hook postrouting priority srcnat; oifname "wan" masquerade persistent; }
    }`,
  // One mapping for all destinations, open for answers alone. What is not asked for leaves no trace in the router.
  "port-restricted": `
    table ip lab {
      chain into { type filter hook input priority filter; iifname "wan" ct state new drop; }
      chain through { type filter hook forward priority filter; iifname "wan" ct state new drop; }
      chain after { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
    }`,
  // Another port for every destination.
  "symmetric": `
    table ip lab {
      chain into { type filter hook input priority filter; iifname "wan" ct state new drop; }
      chain through { type filter hook forward priority filter; iifname "wan" ct state new drop; }
      chain after { type nat hook postrouting priority srcnat; oifname "wan" masquerade fully-random; }
    }`,
  "firewall": `
    table ip lab {
      chain through { type filter hook forward priority filter; iifname "wan" ct state new drop; }
    }`,
  "udp-blocked": `
    table ip lab {
      chain through {
        type filter hook forward priority filter;
        iifname "wan" ct state new drop;
        meta l4proto udp drop;
      }
      chain after { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
    }`,
  // Port-restricted, and the host may have it forward ports: a NAT-PMP server of ours, or a daemon of real routers.
  "port-mapping": `
    table ip lab {
      chain before { type nat hook prerouting priority dstnat; }
      chain into { type filter hook input priority filter; iifname "wan" ct state new drop; }
      chain through {
        type filter hook forward priority filter;
        ct status dnat accept;
        iifname "wan" ct state new drop;
      }
      chain after { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
    }`,
};
/** Drops all of UDP, whatever else a router does. */
const NO_UDP = `
  table ip lab_no_udp {
    chain through { type filter hook forward priority raw; meta l4proto udp drop; }
    chain out { type filter hook output priority raw; meta l4proto udp drop; }
  }`;
/** Serves NAT-PMP on a router, see there. */
const NAT_PMP_SERVER = join(import.meta.dirname ?? ".", "nat_pmp_server.ts");

/** Network namespaces of laboratories that are there. */
const namespaces = new Set<string>();
let removed = false;

/** Kills what runs in this program's laboratories and removes them, for an end that leaves no time for order. */
export async function removeLabs(): Promise<void> {
  removed = true;
  for (const name of namespaces) {
    const { stdout } = await new Deno.Command("ip", { args: ["netns", "pids", name], stderr: "null" })
      .output();
    for (const pid of new TextDecoder().decode(stdout).split("\n").filter(Boolean)) {
      try {
        Deno.kill(Number(pid), "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
  }
  await Promise.allSettled([...namespaces].map((name) => ip(`netns del ${name}`)));
}

/** Why no laboratory can be made here, or undefined when one can. */
export async function labObstacle(): Promise<string | undefined> {
  try {
    await using lab = await startLab();
    await lab.addHost("port-restricted");
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.split("\n")[0] : String(error);
  }
}

/**
 * Makes a laboratory. Needs `ip` (iproute2), `nft` (nftables) and the right to make network namespaces. With `impairment` each
 * packet between hosts is treated so, in user space, which needs `/dev/net/tun` too.
 */
export async function startLab({ impairment }: { impairment?: Impairment | undefined } = {}): Promise<Lab> {
  const id = crypto.randomUUID().slice(0, 6);
  const wan = `aal${id}`;
  await using stack = new AsyncDisposableStack();
  await addNamespace(stack, wan);
  const impaired = impairment && stack.use(await ImpairedNetwork.start(wan, impairment));
  if (impaired === undefined) {
    await ip(`-n ${wan} link add wan type bridge`);
    await ip(`-n ${wan} link set wan up`);
  }
  let hosts = 0;
  const owned = stack.move();
  return {
    async addHost(kind) {
      const number = ++hosts;
      const names = { host: `aah${id}-${number}`, router: `aar${id}-${number}` };
      const port = `p${number}`;
      // Addresses of the Internet: what is done with private ones is another matter. They never leave the namespaces.
      const outside = `5.5.${number >> 8}.${number & 255}`;
      const inside = kind === "firewall" ? `5.6.${number}.2` : "192.168.7.2";
      await addNamespace(owned, names.host);
      if (kind === "open") {
        await attach(names.host, { port, wan, address: outside, impaired });
      } else {
        await addNamespace(owned, names.router);
        await attach(names.router, { port, wan, address: outside, impaired });
        await addRouter(kind, names, inside);
        if (kind === "port-mapping") owned.use(await serveNatPmp(names.router, outside));
        if (kind === "miniupnpd") owned.use(await startMiniupnpd(names.router, run));
      }
      return {
        ...{ kind, outside },
        address: kind === "open" ? outside : inside,
        command: (command) => ["ip", "netns", "exec", names.host, ...command],
        setLink: (state) => ip(`-n ${names.host} link set wan ${state}`),
        setUdp: (state) =>
          run(
            ["ip", "netns", "exec", kind === "open" ? names.host : names.router, "nft", "-f", "-"],
            state === "blocked" ? NO_UDP : "delete table ip lab_no_udp",
          ),
        setWire: async (state) => {
          if (impaired !== undefined) return await impaired.setPort(port, state);
          await ip(`-n ${wan} link set ${port} ${state === "cut" ? "nomaster" : "master wan"}`);
        },
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function addNamespace(stack: AsyncDisposableStack, name: string): Promise<void> {
  if (removed) throw new Error("the laboratories were removed");
  namespaces.add(name);
  await ip(`netns add ${name}`);
  stack.defer(async () => {
    namespaces.delete(name);
    await ip(`netns del ${name}`);
  });
  await ip(`-n ${name} link set lo up`);
}

/** Gives a namespace a leg on the shared network, called `wan`. */
async function attach(
  name: string,
  { port, wan, address, impaired }: {
    port: string;
    wan: string;
    address: string;
    impaired: ImpairedNetwork | undefined;
  },
): Promise<void> {
  if (impaired === undefined) {
    await ip(`-n ${wan} link add ${port} type veth peer name wan netns ${name}`);
    await ip(`-n ${wan} link set ${port} master wan up`);
  } else {
    await impaired.addPort(port);
    await ip(`-n ${wan} link set ${port} netns ${name} name wan`);
  }
  await ip(`-n ${name} addr add ${address}/32 dev wan`);
  await ip(`-n ${name} link set wan up`);
  // To each the others are strangers, not neighbours on its own network.
  await ip(`-n ${name} route add 5.0.0.0/8 dev wan`);
}

async function addRouter(
  kind: NatKind,
  names: { host: string; router: string },
  inside: string,
): Promise<void> {
  const gateway = inside.replace(/\.2$/, ".1");
  await ip(`-n ${names.router} link add lan type veth peer name wan netns ${names.host}`);
  await ip(`-n ${names.router} addr add ${gateway}/24 dev lan`);
  await ip(`-n ${names.router} link set lan up`);
  await ip(`-n ${names.host} addr add ${inside}/24 dev wan`);
  await ip(`-n ${names.host} link set wan up`);
  await ip(`-n ${names.host} route add default via ${gateway}`);
  await run(["ip", "netns", "exec", names.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
  await run(
    ["ip", "netns", "exec", names.router, "nft", "-f", "-"],
    RULES[kind === "miniupnpd" ? "port-mapping" : kind],
  );
  if (kind !== "firewall") return;
  // It answers for its host's address on the shared network.
  await run([
    ...["ip", "netns", "exec", names.router],
    ...["sh", "-c", `echo 1 > /proc/sys/net/ipv4/conf/wan/proxy_arp`],
  ]);
}

/** Starts the router's NAT-PMP server; resolves when it serves. */
async function serveNatPmp(router: string, outside: string): Promise<AsyncDisposable> {
  const server = new RunningProgram(
    ["ip", "netns", "exec", router, Deno.execPath(), "run", "-A", NAT_PMP_SERVER, outside],
  );
  await server.value("SERVES");
  return server;
}

async function ip(args: string): Promise<void> {
  await run(["ip", ...args.split(" ")]);
}

async function run(command: readonly string[], input = ""): Promise<void> {
  const [file = "", ...args] = command;
  const child = new Deno.Command(file, { args, stdin: "piped", stdout: "null", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  if (input !== "") await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stderr } = await child.output();
  if (!success) throw new Error(`${command.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
