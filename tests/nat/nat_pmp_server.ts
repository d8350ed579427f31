// NAT-PMP (RFC 6886) of a router of the laboratory, for the host at 192.168.7.2: what it grants, nftables forward.
const [outside = ""] = Deno.args;
const HOST = "192.168.7.2";

const socket = Deno.listenDatagram({ transport: "udp", hostname: "192.168.7.1", port: 5351 });
Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
console.log(`SERVES=${outside}`);
for await (const [packet, from] of socket) await socket.send(await answer(packet), from);

async function answer(packet: Uint8Array): Promise<Uint8Array> {
  const request = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const op = request.getUint8(1);
  const response = new DataView(new ArrayBuffer(op === 0 ? 12 : 16));
  response.setUint8(1, op | 128);
  if (op === 0) {
    outside.split(".").forEach((part, i) => response.setUint8(8 + i, Number(part)));
  } else {
    const [internal, wished, lifetime] = [request.getUint16(4), request.getUint16(6), request.getUint32(8)];
    if (lifetime > 0) await forward(op === 1 ? "udp" : "tcp", wished, internal);
    response.setUint16(8, internal);
    response.setUint16(10, wished);
    response.setUint32(12, lifetime);
  }
  return new Uint8Array(response.buffer);
}

async function forward(protocol: string, outer: number, inner: number): Promise<void> {
  const args = `add rule ip lab before iifname "wan" ${protocol} dport ${outer} dnat to ${HOST}:${inner}`
    .split(" ");
  const { success, stderr } = await new Deno.Command("nft", { args, stderr: "piped" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
