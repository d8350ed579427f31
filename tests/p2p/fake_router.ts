// A router that opens ports when it is asked to, on loopback: NAT-PMP over UDP, UPnP over UDP and HTTP.
import { createSocket, type Socket } from "node:dgram";

/** What was asked of a router, such as `map tcp 4001 -> 4001 for 3600`. */
export interface FakeRouter extends AsyncDisposable {
  port: number;
  asked: string[];
}

/** How a router answers. */
export interface FakeRouterOptions {
  externalAddress?: string;
  /** External ports that others hold. */
  taken?: readonly number[];
  /** Result code of every mapping (NAT-PMP) or error code (UPnP). Default: it grants. */
  refuse?: number;
  /** Requests that are lost first. */
  lose?: number;
}

/** A NAT-PMP router that gives another port when the one wished for is taken. */
export async function startNatPmpRouter(options: FakeRouterOptions = {}): Promise<FakeRouter> {
  const { externalAddress = "5.5.5.5", taken = [], refuse = 0 } = options;
  let { lose = 0 } = options;
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (packet, { port, address }) => {
    if (lose-- > 0) return;
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const op = view.getUint8(1);
    const answer = new DataView(new ArrayBuffer(op === 0 ? 12 : 16));
    answer.setUint8(1, op | 128);
    if (op === 0) {
      externalAddress.split(".").forEach((part, i) => answer.setUint8(8 + i, Number(part)));
    } else {
      const [internal, wished, lifetime] = [view.getUint16(4), view.getUint16(6), view.getUint32(8)];
      const external = taken.includes(wished) ? wished + 1 : wished;
      asked.push(`map ${op === 1 ? "udp" : "tcp"} ${internal} -> ${wished} for ${lifetime}`);
      answer.setUint16(2, refuse);
      answer.setUint16(8, internal);
      answer.setUint16(10, external);
      answer.setUint32(12, lifetime);
    }
    socket.send(new Uint8Array(answer.buffer), port, address);
  });
  return { port: await bind(socket), asked, [Symbol.asyncDispose]: () => close(socket) };
}

/** A UPnP router of version `version`; its control address is at `controlHost`. */
export async function startUpnpRouter(
  options: FakeRouterOptions & { version?: 1 | 2; controlHost?: string; onlyWithoutEnd?: boolean } = {},
): Promise<FakeRouter> {
  const { externalAddress = "5.5.5.5", taken = [], version = 1, onlyWithoutEnd = false, refuse } = options;
  const asked: string[] = [];
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, port } = new URL(request.url);
    if (pathname === "/root.xml") {
      const control = options.controlHost === undefined
        ? "/ctl"
        : `http://${options.controlHost}:${port}/ctl`;
      return xml(`<root><device><serviceList>
        <service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/no</controlURL></service>
        <service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:${version}</serviceType>
          <controlURL>${control}</controlURL></service></serviceList></device></root>`);
    }
    const body = await request.text();
    const value = (tag: string) => new RegExp(`<${tag}>([^<]*)<`).exec(body)?.[1] ?? "";
    const [, action = ""] = request.headers.get("soapaction")?.split("#") ?? [];
    if (action === 'GetExternalIPAddress"') {
      return xml(`<r><NewExternalIPAddress>${externalAddress}</NewExternalIPAddress></r>`);
    }
    const wished = Number(value("NewExternalPort"));
    const to = `${value("NewInternalClient")}:${value("NewInternalPort")} for ${value("NewLeaseDuration")}`;
    asked.push(`${action.replace('"', "")} ${value("NewProtocol")} ${wished} ${to}`);
    if (refuse !== undefined) return fault(refuse);
    if (action.startsWith("Delete")) return xml("<r/>");
    if (taken.includes(wished)) return fault(718);
    return onlyWithoutEnd && value("NewLeaseDuration") !== "0" ? fault(725) : xml("<r/>");
  });
  const socket = createSocket("udp4");
  socket.on("message", (packet, { port, address }) => {
    const target = /^ST: (.*)\r$/m.exec(packet.toString())?.[1];
    if (target !== `urn:schemas-upnp-org:device:InternetGatewayDevice:${version}`) return;
    // A printer answers too, and somebody who points elsewhere.
    for (
      const [st, location] of [
        ["urn:schemas-upnp-org:device:Printer:1", `http://127.0.0.1:${http.addr.port}/printer.xml`],
        [target, `http://127.0.0.2:${http.addr.port}/root.xml`],
        [target, `http://127.0.0.1:${http.addr.port}/root.xml`],
      ]
    ) socket.send(`HTTP/1.1 200 OK\r\nST: ${st}\r\nLocation: ${location}\r\n\r\n`, port, address);
  });
  return {
    port: await bind(socket),
    asked,
    async [Symbol.asyncDispose]() {
      await close(socket);
      await http.shutdown();
    },
  };
}

function xml(body: string, status = 200): Response {
  return new Response(body, { status, headers: { "content-type": "text/xml" } });
}

function fault(code: number): Response {
  return xml(
    `<s:Fault><errorCode>${code}</errorCode><errorDescription>no ${code}</errorDescription></s:Fault>`,
    500,
  );
}

function bind(socket: Socket): Promise<number> {
  return new Promise((resolve) => socket.bind(0, "127.0.0.1", () => resolve(socket.address().port)));
}

function close(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}
