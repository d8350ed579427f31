import assert from "node:assert/strict";
import { UdpPort } from "../../../p2p/webrtc/udp_port.ts";

Deno.test("UdpPort takes the next datagram when its owner could not take one, and sends in order", async () => {
  const got: number[] = [];
  const errors: unknown[] = [];
  const all = Promise.withResolvers<void>();
  const loopback = { hostname: "127.0.0.1", port: 0 };
  const receiver = new UdpPort(loopback, {
    onDatagram([number = 0]) {
      if (number === 1) throw new TypeError("not this one");
      got.push(number);
      if (number === 5) all.resolve();
    },
    onError: (error) => void errors.push(error),
  });
  const sender = new UdpPort(loopback, { onDatagram() {}, onError() {} });
  for (let i = 0; i < 6; i++) sender.send(Uint8Array.of(i), { ...loopback, port: receiver.port });
  await all.promise;
  assert.deepEqual(got, [0, 2, 3, 4, 5]);
  assert.deepEqual(errors.map(String), ["TypeError: not this one"]);
  await sender.close();
  sender.send(Uint8Array.of(9), { ...loopback, port: receiver.port });
  await receiver.close();
  await receiver.close();
});
