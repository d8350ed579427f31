import assert from "node:assert/strict";
import { openTestHost } from "./test_host.ts";

Deno.test("hosts in several processes share the mDNS port, find each other and exit by themselves when closed", async () => {
  const serviceTag = `_t${crypto.randomUUID().slice(0, 8)}._udp.local`;
  await using host = await openTestHost({ mdns: { enabled: true, serviceTag, interfaces: ["127.0.0.1"] } });
  const children = [startChild(serviceTag), startChild(serviceTag)];
  await host.until(() => host.connected.length === 2);
  const echo = new Uint8Array([1, 2, 3]);
  for (const { peerId } of host.connected) {
    assert.deepEqual(await host.host.exchangeCard(peerId, echo), echo);
    assert.ok(await host.host.ping(peerId) > 0);
  }
  for (const child of children) {
    const lines = await child.linesUntil((seen) =>
      seen.filter((line) => line.startsWith("connected ")).length === 2
    );
    const own = lines.find((line) => line.startsWith("host "))?.slice("host ".length);
    assert.ok(host.connected.some(({ peerId }) => peerId === own));
    assert.ok(lines.includes(`connected ${host.peerId}`));
  }
  for (const child of children) {
    assert.equal((await child.stop()).code, 0);
  }
  await host.until(() => host.disconnected.length === 2);
});

function startChild(serviceTag: string) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("child_host.ts", import.meta.url).pathname, serviceTag],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  return {
    /** Reads on until `done` says so of the whole lines seen. */
    async linesUntil(done: (lines: string[]) => boolean): Promise<string[]> {
      while (true) {
        const lines = output.split("\n").slice(0, -1);
        if (done(lines)) return lines;
        const { value, done: ended } = await reader.read();
        if (ended) throw new Error(`The child ended after: ${output}`);
        output += value;
      }
    },
    /** Ends its input and waits for it. */
    async stop(): Promise<Deno.CommandStatus> {
      await process.stdin.close();
      while (!(await reader.read()).done);
      return await process.status;
    },
  };
}
