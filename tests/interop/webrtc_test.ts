// WebRTC-direct with peers of other programs. They are built by hand, since they bring hundreds of packages:
//   cd tests/interop/webrtc_peers && go mod tidy && go build -o go-peer . && npm install
//   AGENTANYCAST_TEST_WEBRTC="$PWD/go-peer;$PWD/node_modules/.bin/node $PWD/peer.mjs" deno task test tests/interop/webrtc_test.ts
import assert from "node:assert/strict";
import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { silentLogger } from "../../core/log.ts";
import { createLibp2pLogger } from "../../p2p/libp2p_logger.ts";
import { createLibp2pNode } from "../../p2p/libp2p_node.ts";
import { resolveLimits } from "../../p2p/limits.ts";
import { PING_PROTOCOL, servePing } from "../../p2p/ping.ts";

const PROTOCOL = "/test/echo/1.0";
const TIMEOUT_MS = 60_000;

const peers = (Deno.env.get("AGENTANYCAST_TEST_WEBRTC") ?? "").split(";").filter((command) => command !== "");
if (peers.length === 0) {
  console.warn(
    "Skipping the tests with WebRTC peers of other programs: AGENTANYCAST_TEST_WEBRTC names none (see webrtc_test.ts)",
  );
}

async function openNode() {
  const node = await createLibp2pNode({
    seed: crypto.getRandomValues(new Uint8Array(32)),
    agentVersion: "agentanycast-test/0",
    limits: resolveLimits(),
    logger: createLibp2pLogger(silentLogger),
    webRtcDirect: true,
  });
  await node.libp2p.handle(PING_PROTOCOL, (stream) => {
    servePing(stream, { timeoutMs: TIMEOUT_MS }).catch(() => {
      // Peers may reset the stream when they have their answer.
    });
  });
  await node.libp2p.handle(PROTOCOL, (stream) => {
    stream.addEventListener("message", ({ data }) => {
      if (stream.send(data)) return;
      stream.pause();
      stream.onDrain().then(() => stream.resume(), () => {});
    });
    stream.addEventListener("remoteCloseWrite", () => void stream.close());
  });
  await node.libp2p.start();
  return node;
}

function start(command: string, ...args: string[]): Deno.ChildProcess {
  const [program = "", ...first] = command.split(" ");
  return new Deno.Command(program, {
    args: [...first, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

async function firstLine(child: Deno.ChildProcess): Promise<string> {
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes("\n")) break;
  }
  return said.split("\n")[0] ?? "";
}

/** Sends 3 MB and resolves with how many of the bytes came back as they were. */
async function echo(stream: Stream): Promise<number> {
  const sent = new Uint8Array(3_000_000).map((_, i) => i * 7 % 251);
  let got = 0;
  let same = 0;
  const all = new Promise<void>((resolve) => {
    stream.addEventListener("message", ({ data }) => {
      for (const byte of data.subarray()) if (byte === sent[got++]) same++;
      if (got === sent.length) resolve();
    });
  });
  for (let i = 0; i < sent.length; i += 65_536) {
    if (!stream.send(sent.subarray(i, i + 65_536))) await stream.onDrain();
  }
  await stream.close();
  await all;
  return same;
}

for (const command of peers.length > 0 ? peers : ["none"]) {
  const ignore = peers.length === 0;
  Deno.test({
    name:
      `a peer of another program dials over WebRTC-direct, pings and sends 3 MB there and back: ${command}`,
    ignore,
    async fn() {
      const node = await openNode();
      await node.listen("/ip4/127.0.0.1/udp/0/webrtc-direct");
      const child = start(command, "dial", String(node.libp2p.getMultiaddrs()[0]));
      await child.stdin.close();
      assert.equal(await firstLine(child), "done");
      assert.equal((await child.status).code, 0);
      await node.stop();
    },
  });
  Deno.test({
    name: `a peer of another program is dialed over WebRTC-direct and sends 3 MB back: ${command}`,
    ignore,
    async fn() {
      const node = await openNode();
      const child = start(command, "listen");
      const connection = await node.dial(multiaddr(await firstLine(child)), {
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      assert.equal(await echo(await connection.newStream(PROTOCOL)), 3_000_000);
      await connection.close();
      await child.stdin.close();
      await child.status;
      await node.stop();
    },
  });
}
