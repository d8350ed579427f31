import type { NodeInfo } from "../../sdk/mod.ts";
import { toCall } from "../call_text.ts";
import { describeCard } from "../card_text.ts";
import { EXIT_OK, EXIT_UNAVAILABLE } from "../exit_codes.ts";
import { type Output, toFacts, visible } from "../output.ts";
import { describeNat } from "../nat_text.ts";
import { findDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Tells whether a daemon runs on the home, and who it is. */
export async function run({ options, output, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  await using session = await findDaemon(config.grpcListen);
  if (session === undefined) {
    output.result({ running: false, home: config.home }, () => [
      `No daemon runs on ${config.home}. Start one: ${toCall("daemon", options)}`,
    ]);
    return EXIT_UNAVAILABLE;
  }
  const status = toStatus(await session.node.info(), config.home);
  output.result(status, () => describe(status, output));
  return EXIT_OK;
}

type Status = ReturnType<typeof toStatus>;

function toStatus(info: NodeInfo, home: string) {
  const {
    peerId,
    did,
    pid,
    version,
    connectedPeers,
    startedAt,
    card,
    listenAddresses,
    nat,
    natMapping,
    observedAddresses,
    portMapping,
    relays = [],
  } = info;
  return {
    running: true,
    peerId,
    did,
    home: info.home ?? home,
    pid,
    version,
    startedAt,
    uptimeSeconds: startedAt && Math.max(0, Math.floor((Date.now() - startedAt.getTime()) / 1000)),
    nat,
    natMapping,
    observedAddresses,
    portMapping,
    relays,
    addresses: listenAddresses.map((address) =>
      address.endsWith(`/p2p/${peerId}`) ? address : `${address}/p2p/${peerId}`
    ),
    connectedPeers,
    card,
  };
}

function describe(status: Status, output: Output): string[] {
  return [
    ...toFacts({
      "Daemon": output.style("green", "running"),
      "Peer id": status.peerId,
      "DID": status.did,
      "Home": status.home,
      "Process": status.pid,
      "Uptime": status.uptimeSeconds === undefined ? undefined : describeSeconds(status.uptimeSeconds),
      "Version": status.version,
      "Peers": status.connectedPeers,
      "NAT": describeNat(status),
      "Port mapping": describePorts(status),
    }),
    ...status.relays.map(({ peerId, state, reason }) =>
      `Relay ${visible(peerId)}: ${state}${reason === "" ? "" : `: ${visible(reason)}`}`
    ),
    "Addresses:",
    ...status.addresses.map((address) => `  ${address}`),
    ...(status.card === undefined ? ["No card is set."] : ["Card:", ...describeCard(status.card, "  ")]),
  ];
}

/** Nothing when there is nothing to tell: no router that opens ports is no fault. */
function describePorts({ portMapping }: Status): string | undefined {
  if (portMapping === undefined) return undefined;
  const { state, gateway = "", reason = "", addresses } = portMapping;
  if (state === "mapped") return `${visible(gateway)} opened ${addresses.map(visible).join(", ")}`;
  return state === "failed" ? `${visible(gateway)} opened nothing: ${visible(reason)}` : undefined;
}

function describeSeconds(seconds: number): string {
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const;
  const first = units.findIndex(([, size]) => seconds >= size);
  let rest = seconds;
  const shown = units.slice(first === -1 ? 3 : first).slice(0, 2).map(([name, size]) => {
    const count = Math.floor(rest / size);
    rest %= size;
    return `${count} ${name}`;
  });
  return shown.join(" ");
}
