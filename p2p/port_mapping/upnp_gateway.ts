import { askOverUdp } from "./ask_over_udp.ts";
import type { Gateway, PortGrant, PortRequest } from "./gateway.ts";
import { requestXml } from "./request_xml.ts";

/** Where devices are asked for (UPnP Device Architecture, SSDP). */
const SEARCH_GROUP = { address: "239.255.255.250", port: 1900 };
const DEVICE = "urn:schemas-upnp-org:device:InternetGatewayDevice:";
const SERVICE = /^urn:schemas-upnp-org:service:WAN(IP|PPP)Connection:[12]$/;
const NO_SUCH_MAPPING = 714;
const PORT_TAKEN = 718;
const ONLY_WITHOUT_END = 725;
/** Other ports that are tried when somebody else has the one wished for. */
const OTHER_PORTS = 4;
const DESCRIPTION = "agentanycast";

/** Where to look for a router. */
export interface UpnpSearch {
  /** Own address on the network that is searched. */
  from: string;
  /** Default: the group of SSDP. */
  group?: { address: string; port: number };
}

/** A refusal of a router, with its code. */
class UpnpError extends Error {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

/** A router that speaks UPnP (Internet Gateway Device, versions 1 and 2). */
export class UpnpGateway implements Gateway {
  readonly name: string;

  private constructor(
    readonly from: string,
    readonly control: URL,
    readonly serviceType: string,
  ) {
    this.name = `UPnP at ${control.hostname}`;
  }

  /** The router that answers first. Rejects when `signal` fires before one does, or when it opens no ports. */
  static async find({ from, group = SEARCH_GROUP }: UpnpSearch, signal: AbortSignal): Promise<UpnpGateway> {
    const location = await askOverUdp({
      from,
      to: group,
      packets: [1, 2].map((version) => toSearch(`${DEVICE}${version}`, group)),
      read: readLocation,
    }, signal);
    const { status, text } = await requestXml(location, { from }, signal);
    if (status !== 200) throw new Error(`it answers with status ${status} at ${location}`);
    for (const [, service = ""] of text.matchAll(/<service>([\s\S]*?)<\/service>/g)) {
      const [type, path] = [valueOf("serviceType", service), valueOf("controlURL", service)];
      if (type === undefined || path === undefined || !SERVICE.test(type)) continue;
      const control = new URL(path, location);
      // It may open ports on itself, not have this node ask somebody else.
      if (control.hostname === location.hostname && control.protocol === "http:") {
        return new UpnpGateway(from, control, type);
      }
    }
    throw new Error("it has no service that opens ports");
  }

  async externalAddress(signal: AbortSignal): Promise<string> {
    return valueOf("NewExternalIPAddress", await this.#call("GetExternalIPAddress", [], signal)) ?? "";
  }

  async map(request: PortRequest, signal: AbortSignal): Promise<PortGrant> {
    let { externalPort, lifetimeS } = request;
    for (let others = 0;;) {
      try {
        await this.#call("AddPortMapping", [
          ["NewRemoteHost", ""],
          ["NewExternalPort", externalPort],
          ["NewProtocol", request.protocol.toUpperCase()],
          ["NewInternalPort", request.internalPort],
          ["NewInternalClient", this.from],
          ["NewEnabled", 1],
          ["NewPortMappingDescription", DESCRIPTION],
          ["NewLeaseDuration", lifetimeS],
        ], signal);
        return { externalPort, lifetimeS: lifetimeS || request.lifetimeS };
      } catch (error) {
        const code = error instanceof UpnpError ? error.code : undefined;
        if (code === ONLY_WITHOUT_END && lifetimeS !== 0) lifetimeS = 0;
        else if (code === PORT_TAKEN && others++ < OTHER_PORTS) externalPort = randomPort();
        else throw error;
      }
    }
  }

  async unmap(
    { protocol, externalPort }: Omit<PortRequest, "lifetimeS">,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#call("DeletePortMapping", [
        ["NewRemoteHost", ""],
        ["NewExternalPort", externalPort],
        ["NewProtocol", protocol.toUpperCase()],
      ], signal);
    } catch (error) {
      if (!(error instanceof UpnpError && error.code === NO_SUCH_MAPPING)) throw error;
    }
  }

  async #call(
    action: string,
    args: readonly (readonly [string, string | number])[],
    signal: AbortSignal,
  ): Promise<string> {
    const { status, text } = await requestXml(this.control, {
      from: this.from,
      headers: {
        "content-type": 'text/xml; charset="utf-8"',
        "soapaction": `"${this.serviceType}#${action}"`,
      },
      body: `<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:${action} xmlns:u="${this.serviceType}">${
        args.map(([name, value]) => `<${name}>${value}</${name}>`).join("")
      }</u:${action}></s:Body></s:Envelope>`,
    }, signal);
    if (status === 200) return text;
    const code = Number(valueOf("errorCode", text));
    const reason = valueOf("errorDescription", text) ?? `status ${status}`;
    throw new UpnpError(code, `it refuses ${action}: ${reason}`);
  }
}

function toSearch(target: string, { address, port }: { address: string; port: number }): Uint8Array {
  return new TextEncoder().encode(
    `M-SEARCH * HTTP/1.1\r\nHOST: ${address}:${port}\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ${target}\r\n\r\n`,
  );
}

/** Where the sender describes itself; a description elsewhere than at the sender is none. */
function readLocation(packet: Uint8Array, { address }: { address: string }): URL | undefined {
  const text = new TextDecoder().decode(packet);
  const header = (name: string) => new RegExp(`^${name}:\\s*(\\S+)\\s*$`, "im").exec(text)?.[1] ?? "";
  if (!text.startsWith("HTTP/1.1 200") || !header("ST").startsWith(DEVICE)) return undefined;
  const location = URL.canParse(header("LOCATION")) ? new URL(header("LOCATION")) : undefined;
  return location?.protocol === "http:" && location.hostname === address ? location : undefined;
}

function valueOf(tag: string, xml: string): string | undefined {
  return new RegExp(`<(?:\\w+:)?${tag}(?:\\s[^>]*)?>\\s*([^<]*?)\\s*<`).exec(xml)?.[1];
}

/** A port of those that no service is assigned to. */
function randomPort(): number {
  return 49_152 + Math.floor(Math.random() * (65_536 - 49_152));
}
