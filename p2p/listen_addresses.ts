import { CodedError } from "../core/errors.ts";

/** Transports for browsers and programs of others: how their listen addresses end, and the setting that switches them on. */
const FOR_OTHERS = [
  {
    name: "WebTransport",
    suffix: "/quic-v1/webtransport",
    option: "webTransport",
    setting: "enable_webtransport",
  },
  {
    name: "WebRTC-direct",
    suffix: "/webrtc-direct",
    option: "webRtcDirect",
    setting: "enable_webrtc_direct",
  },
] as const;

/** Where a node is told to listen, and what it speaks. */
export interface ListenOptions {
  addresses: readonly string[];
  quic: boolean;
  webTransport: boolean;
  webRtcDirect: boolean;
  /** Whether what listens beside QUIC takes the ports that follow, WebTransport the next one. Default: free ones. */
  nextPorts?: boolean;
}

/**
 * All addresses to listen on: transports for others listen beside each QUIC address, unless it is said where. Throws
 * `invalid_argument` for an address of a transport that is off.
 */
export function toListenAddresses(options: ListenOptions): string[] {
  const { addresses, quic } = options;
  const isForOthers = (address: string) => FOR_OTHERS.some(({ suffix }) => address.includes(suffix));
  return [
    ...addresses.filter((address) => !isForOthers(address) && (quic || !address.includes("/quic-v1"))),
    ...FOR_OTHERS.flatMap((transport, index) => {
      const told = addresses.filter((address) => address.includes(transport.suffix));
      if (!options[transport.option]) return refuse(told, transport);
      return told.length > 0 ? told : beside(options, transport.suffix, index + 1);
    }),
  ];
}

function beside({ addresses, nextPorts }: ListenOptions, suffix: string, step: number): string[] {
  const found = addresses.flatMap((address) => {
    const [, host, port] = /^(\/ip[46]\/[^/]+)\/udp\/(\d+)\/quic-v1\/noise$/.exec(address) ?? [];
    if (host === undefined) return [];
    return [`${host}/udp/${nextPorts && port !== "0" ? Number(port) + step : 0}${suffix}`];
  });
  return [...new Set(found)];
}

function refuse(told: readonly string[], { name, setting }: typeof FOR_OTHERS[number]): string[] {
  if (told.length === 0) return [];
  throw new CodedError(
    "invalid_argument",
    `Could not listen on ${told[0]}: ${name} is off; set ${setting} or leave the address out`,
  );
}
