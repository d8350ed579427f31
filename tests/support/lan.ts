/** Hosts of their own on one machine: network namespaces on a bridge, each with an address in 10.77.0.0/24. */
export interface Lan extends AsyncDisposable {
  /** The command that runs `command` on a host. */
  on(host: number, command: readonly string[]): string[];
  /** The address of a host. */
  addressOf(host: number): string;
  /** Makes the host a router and puts another one behind it; answers the command that runs a command there. Needs `nft`. */
  behindNat(host: number): Promise<(command: readonly string[]) => string[]>;
}

/** Why no LAN can be made here, or undefined when one can. */
export async function lanObstacle(): Promise<string | undefined> {
  try {
    await using _lan = await startLan(1);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.split("\n")[0] : String(error);
  }
}

/** Makes a LAN of `hosts` hosts. Needs `ip` (iproute2) and the right to make network namespaces. */
export async function startLan(hosts: number): Promise<Lan> {
  const id = crypto.randomUUID().slice(0, 6);
  const bridge = `aab${id}`;
  const nameOf = (host: number) => `aan${id}-${host}`;
  const addressOf = (host: number) => `10.77.0.${host + 1}`;
  await using stack = new AsyncDisposableStack();
  await ip(`netns add ${bridge}`);
  stack.defer(() => ip(`netns del ${bridge}`));
  const inBridge = (command: string) => ip(`-n ${bridge} ${command}`);
  await inBridge("link add lan type bridge");
  await inBridge("link set lan up");
  for (let host = 0; host < hosts; host++) {
    const name = nameOf(host);
    await ip(`netns add ${name}`);
    stack.defer(() => ip(`netns del ${name}`));
    await inBridge(`link add port${host} type veth peer name eth0 netns ${name}`);
    await inBridge(`link set port${host} master lan up`);
    await ip(`-n ${name} link set lo up`);
    await ip(`-n ${name} addr add ${addressOf(host)}/24 dev eth0`);
    await ip(`-n ${name} link set eth0 up`);
  }
  const behindNat = async (host: number) => {
    const [router, name] = [nameOf(host), `${nameOf(host)}n`];
    await ip(`netns add ${name}`);
    inner.defer(() => ip(`netns del ${name}`));
    await ip(`-n ${router} link add in0 type veth peer name eth0 netns ${name}`);
    await ip(`-n ${router} addr add 192.168.77.1/24 dev in0`);
    await ip(`-n ${router} link set in0 up`);
    await ip(`-n ${name} link set lo up`);
    await ip(`-n ${name} addr add 192.168.77.2/24 dev eth0`);
    await ip(`-n ${name} link set eth0 up`);
    await ip(`-n ${name} route add default via 192.168.77.1`);
    await ip(`netns exec ${router} sysctl -qw net.ipv4.ip_forward=1`);
    await ip(`netns exec ${router} nft add table ip nat`);
    await ip(`netns exec ${router} nft add chain ip nat post { type nat hook postrouting priority 100 ; }`);
    await ip(`netns exec ${router} nft add rule ip nat post oifname eth0 masquerade`);
    return (command: readonly string[]) => ["ip", "netns", "exec", name, ...command];
  };
  const inner = stack.use(new AsyncDisposableStack());
  const owned = stack.move();
  return {
    behindNat,
    on: (host, command) => ["ip", "netns", "exec", nameOf(host), ...command],
    addressOf,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function ip(args: string): Promise<void> {
  const command = new Deno.Command("ip", {
    args: args.split(" "),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(`ip ${args}: ${new TextDecoder().decode(stderr).trim()}`);
}
