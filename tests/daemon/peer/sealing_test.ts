import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { AgentCard, Answer, EnvelopeTransport } from "../../../a2a/mod.ts";
import { decodeCard } from "../../../daemon/convert/card.ts";
import { decodeEnvelope, encodeEnvelope } from "../../../daemon/convert/envelope.ts";
import { type ArrivedEnvelope, Sealing, type SealingMode } from "../../../daemon/peer/sealing.ts";
import { NodeService } from "../../../gen/agentanycast/v1/node_service_pb.ts";
import { createIdentity } from "../../../identity/mod.ts";
import { Node } from "../../../sdk/mod.ts";
import { sendTaskBody } from "../../support/engine_net.ts";
import { PATIENCE_MS } from "../../support/patience.ts";
import { startTestDaemon } from "../../support/test_daemon.ts";

const me = createIdentity(new Uint8Array(32).fill(1));
const peer = createIdentity(new Uint8Array(32).fill(2));
const NO_TRACE = { traceParent: "", traceState: "" };

function encode(envelopeId: string, taskId = "t"): { envelopeId: string; bytes: Uint8Array } {
  return {
    envelopeId,
    bytes: encodeEnvelope({ envelopeId, timestampMs: 1, trace: NO_TRACE, body: sendTaskBody(taskId) }),
  };
}

function arrived(bytes: Uint8Array): ArrivedEnvelope {
  const decoded = decodeEnvelope(bytes);
  ok(decoded !== undefined && decoded.kind !== "ack");
  return decoded;
}

/** A transport that keeps what it is given, and the sealing of `me` over it. */
function startSealing(
  mode: SealingMode,
  opensSealed: (peerId: string) => Promise<boolean> = () => Promise.resolve(true),
) {
  const sent: Uint8Array[] = [];
  const transport = {
    peerId: me.peerId,
    send: (_peerId: string, { bytes }: { bytes: Uint8Array }): Promise<Answer> => {
      sent.push(bytes);
      return Promise.resolve({ outcome: "taken" });
    },
  } as unknown as EnvelopeTransport;
  const cardOf = async (peerId: string): Promise<AgentCard> => (
    { ...decodeCard(new Uint8Array()), opensSealed: await opensSealed(peerId) }
  );
  const sealing = new Sealing(mode, { identity: me, cardOf });
  return { sent, sealing, send: sealing.wrap(transport).send };
}

Deno.test("wrap() seals what only the peer can open", async () => {
  const { sent, send } = startSealing("prefer");
  await send(peer.peerId, encode("e1", "task-that-nobody-sees"));
  const [bytes] = sent;
  equal(new TextDecoder().decode(bytes).includes("nobody-sees"), false);
  const theirs = new Sealing("off", { identity: peer, cardOf: () => Promise.resolve(undefined) });
  const opened = theirs.open(me.peerId, arrived(bytes!));
  deepEqual([opened.refusal, opened.envelope?.envelopeId, opened.envelope?.body.taskId], [
    undefined,
    "e1",
    "task-that-nobody-sees",
  ]);
  const stranger = new Sealing("off", {
    identity: createIdentity(new Uint8Array(32).fill(3)),
    cardOf: () => Promise.resolve(undefined),
  });
  match(stranger.open(me.peerId, arrived(bytes!)).refusal ?? "", /cannot be opened/);
  match(theirs.open(peer.peerId, arrived(bytes!)).refusal ?? "", /cannot be opened/);
});

Deno.test("wrap() leaves peers that cannot open it alone, or sends them nothing when all has to be sealed", async () => {
  const preferring = startSealing("prefer", () => Promise.resolve(false));
  const envelope = encode("e1");
  await preferring.send(peer.peerId, envelope);
  deepEqual(preferring.sent, [envelope.bytes]);
  const requiring = startSealing("require", () => Promise.resolve(false));
  const answer = await requiring.send(peer.peerId, envelope);
  equal(answer.outcome, "refused");
  deepEqual(requiring.sent, []);
  const off = startSealing("off");
  await off.send(peer.peerId, envelope);
  deepEqual(off.sent, [envelope.bytes]);
});

Deno.test("wrap() seals for a peer without a card that has sealed something itself", async () => {
  const { sent, sealing, send } = startSealing("require", () => Promise.resolve(false));
  const theirs = startSealingOf(peer);
  await theirs.send(me.peerId, encode("e1"));
  equal(sealing.open(peer.peerId, arrived(theirs.sent[0]!)).refusal, undefined);
  await send(peer.peerId, encode("e2"));
  equal(arrived(sent[0]!).kind, "sealed");

  function startSealingOf(identity: typeof peer) {
    const sent: Uint8Array[] = [];
    const transport = {
      send: (_peerId: string, { bytes }: { bytes: Uint8Array }) =>
        Promise.resolve({ outcome: "taken", pushed: sent.push(bytes) }),
    } as unknown as EnvelopeTransport;
    const cardOf = () => Promise.resolve({ ...decodeCard(new Uint8Array()), opensSealed: true });
    return { sent, send: new Sealing("prefer", { identity, cardOf }).wrap(transport).send };
  }
});

Deno.test("wrap() keeps the order of the calls, however long a card takes", async () => {
  const waits = [Promise.withResolvers<boolean>(), Promise.resolve(true), Promise.resolve(true)];
  let calls = 0;
  const { sent, send } = startSealing("prefer", () => {
    const one = waits[calls++];
    return one instanceof Promise ? one : one!.promise;
  });
  const sending = ["e1", "e2", "e3"].map((id) => send(peer.peerId, encode(id)));
  (waits[0] as PromiseWithResolvers<boolean>).resolve(true);
  await Promise.all(sending);
  deepEqual(sent.map((bytes) => (arrived(bytes) as { envelopeId: string }).envelopeId), ["e1", "e2", "e3"]);
});

Deno.test("open() takes nothing that is not sealed when all has to be, and no envelope under another's id", async () => {
  const { sealing } = startSealing("require");
  const plain = sealing.open(peer.peerId, arrived(encode("e1").bytes));
  match(plain.refusal ?? "", /sealed payloads only/);
  const theirs = startSealing("prefer");
  await theirs.send(me.peerId, encode("e1"));
  const sealed = arrived(theirs.sent[0]!);
  const swapped = new Sealing("off", { identity: me, cardOf: () => Promise.resolve(undefined) });
  match(
    swapped.open(me.peerId, { ...sealed, envelopeId: "e2" } as ArrivedEnvelope).refusal ?? "",
    /no envelope of its id/,
  );
});

Deno.test("daemons that require sealing exchange tasks and results, and refuse those that do not seal", async () => {
  const toml = `policy.encryption = "require"`;
  await using a = await startTestDaemon({ toml });
  await using b = await startTestDaemon({ toml });
  await using plain = await startTestDaemon();
  await using agent = new Node({
    daemonAddr: b.daemon.grpcAddress,
    card: { name: "E", skills: [{ id: "echo" }] },
  });
  agent.onTask((task) => task.complete(`Echo: ${task.text}`));
  await using sender = new Node({ daemonAddr: a.daemon.grpcAddress });
  await using other = new Node({ daemonAddr: plain.daemon.grpcAddress });
  await Promise.all([agent.start(), sender.start(), other.start()]);
  for (const { rpc } of [a, plain]) {
    await rpc.unary(NodeService.method.connectPeer, {
      peerId: b.daemon.peerId,
      addresses: b.daemon.addresses(),
    });
  }
  const done = await (await sender.sendTask("hi", { peerId: b.daemon.peerId })).wait({
    timeoutMs: PATIENCE_MS,
  });
  equal(done.artifacts[0]?.parts[0]?.text, "Echo: hi");
  const refused = await other.sendTask("hi", { peerId: b.daemon.peerId });
  const error = await refused.wait({ timeoutMs: PATIENCE_MS }).catch((reason) => reason);
  match(String(error.message), /sealed payloads only/);
});
