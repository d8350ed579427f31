import { askOverUdp } from "./ask_over_udp.ts";
import type { Gateway, MappedProtocol, PortGrant, PortRequest } from "./gateway.ts";

/** Port of NAT-PMP (RFC 6886). */
const PORT = 5351;
const VERSION = 0;
const EXTERNAL_ADDRESS = 0;
const MAP = { udp: 1, tcp: 2 } as const;
/** An answer has the code of its question with this bit. */
const ANSWER = 128;
const REFUSALS: Readonly<Record<number, string>> = {
  1: "it speaks another version",
  2: "it does not allow it",
  3: "it has no address outside",
  4: "it has no free port",
  5: "it does not know the request",
};

/** A router that speaks NAT-PMP, which those do that are asked by Apple's systems; see RFC 6886. */
export class NatPmpGateway implements Gateway {
  readonly name: string;

  /** `from` is the own address on the network of the router. Default port: that of NAT-PMP. */
  constructor(readonly from: string, readonly address: string, readonly port = PORT) {
    this.name = `NAT-PMP at ${address}`;
  }

  async externalAddress(signal: AbortSignal): Promise<string> {
    const answer = await this.#ask(Uint8Array.of(VERSION, EXTERNAL_ADDRESS), 12, { signal });
    return answer.subarray(8, 12).join(".");
  }

  async map(request: PortRequest, signal: AbortSignal): Promise<PortGrant> {
    const answer = await this.#ask(toBytes(request), 16, { signal, internalPort: request.internalPort });
    const view = new DataView(answer.buffer, answer.byteOffset);
    return { externalPort: view.getUint16(10), lifetimeS: view.getUint32(12) };
  }

  async unmap(
    { protocol, internalPort }: Omit<PortRequest, "lifetimeS">,
    signal: AbortSignal,
  ): Promise<void> {
    // Lifetime 0 and port 0 say that the mapping ends (RFC 6886, 3.4).
    const request = toBytes({ protocol, internalPort, externalPort: 0, lifetimeS: 0 });
    await this.#ask(request, 16, { signal, internalPort });
  }

  /** An answer of at least `byteLength`; others' packets are left out. */
  #ask(
    request: Uint8Array,
    byteLength: number,
    { signal, internalPort }: { signal: AbortSignal; internalPort?: number },
  ): Promise<Uint8Array> {
    const read = (packet: Uint8Array, sender: { address: string; port: number }) => {
      if (sender.address !== this.address || sender.port !== this.port || packet.length < 4) return undefined;
      const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
      if (view.getUint8(1) !== ((request[1] ?? 0) | ANSWER)) return undefined;
      const result = view.getUint16(2);
      if (result !== 0) throw new Error(REFUSALS[result] ?? `it refuses with code ${result}`);
      if (packet.length < byteLength) return undefined;
      return internalPort === undefined || view.getUint16(8) === internalPort ? packet : undefined;
    };
    const to = { address: this.address, port: this.port };
    return askOverUdp({ from: this.from, to, packets: [request], read }, signal);
  }
}

function toBytes(
  { protocol, internalPort, externalPort, lifetimeS }: PortRequest & { protocol: MappedProtocol },
): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, MAP[protocol]);
  view.setUint16(4, internalPort);
  view.setUint16(6, externalPort);
  view.setUint32(8, lifetimeS);
  return bytes;
}
