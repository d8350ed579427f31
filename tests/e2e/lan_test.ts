// Two machines on one LAN, as network namespaces, with no configuration but their homes.
import assert from "node:assert/strict";
import { join } from "node:path";
import { Node } from "../../sdk/mod.ts";
import { lanObstacle, startLan } from "../support/lan.ts";
import { untilHolds } from "../support/patience.ts";
import { RunningProgram, runProgram } from "../support/program.ts";
import { tempDir } from "../support/temp_dir.ts";

const MAIN = join(import.meta.dirname ?? ".", "..", "..", "main.ts");
const program = [Deno.execPath(), "run", "-A", MAIN];
const obstacle = await lanObstacle();
if (obstacle !== undefined) console.log(`note: the LAN tests are skipped: ${obstacle}`);

Deno.test({
  name: "two machines on one LAN find each other with no configuration and a task comes back",
  ignore: obstacle !== undefined,
  fn: async () => {
    await using lan = await startLan(2);
    await using dir = await tempDir();
    const homes = [join(dir.path, "a"), join(dir.path, "b")] as const;
    await using agent = new RunningProgram(lan.on(0, [...program, "demo", "--home", homes[0]]));
    await using daemon = new RunningProgram(lan.on(1, [...program, "daemon", "--home", homes[1]]));
    const peerId = await agent.value("PEER_ID");
    await daemon.value("PEER_ID");
    await using node = new Node({ daemonAddr: `unix://${join(homes[1], "daemon.sock")}` });
    await node.start();
    await untilHolds(async () => (await node.listPeers()).length > 0);
    const peers = await node.listPeers();
    assert.deepEqual(peers.map((peer) => peer.peerId), [peerId]);
    assert.ok(peers[0]?.addresses.some((address) => address.startsWith(`/ip4/${lan.addressOf(0)}/`)));
    const sent = await runProgram([...program, "send", "--home", homes[1], peerId, "over the LAN"]);
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(sent.stdout.trim(), "Echo: over the LAN");
  },
});

Deno.test({
  name: "two homes on one machine without any network find each other",
  ignore: obstacle !== undefined,
  fn: async () => {
    await using lan = await startLan(1);
    await using dir = await tempDir();
    const homes = [join(dir.path, "a"), join(dir.path, "b")] as const;
    const start = (home: string) => new RunningProgram(lan.on(0, [...program, "daemon", "--home", home]));
    await using first = start(homes[0]);
    await using second = start(homes[1]);
    const ids = [await first.value("PEER_ID"), await second.value("PEER_ID")];
    await using node = new Node({ daemonAddr: `unix://${join(homes[1], "daemon.sock")}` });
    await node.start();
    await untilHolds(async () => (await node.listPeers()).length > 0);
    const peers = await node.listPeers();
    assert.deepEqual(peers.map((peer) => peer.peerId), [ids[0]]);
  },
});
