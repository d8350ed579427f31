import { deepEqual, equal } from "node:assert/strict";
import { createIdentity, CredentialFolder, issueCredential, openIdentity } from "../../../identity/mod.ts";
import { NodeService } from "../../../gen/agentanycast/v1/node_service_pb.ts";
import { Node } from "../../../sdk/mod.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { startTestDaemon } from "../../support/test_daemon.ts";

Deno.test("checkCard() tells what is proven of a peer's card: signature, names and credentials", async () => {
  await using dir = await tempDir();
  const home = `${dir.path}/peer`;
  await Deno.mkdir(home, { mode: 0o700 });
  const peer = await openIdentity(`${home}/key`);
  const issuer = createIdentity(new Uint8Array(32).fill(9));
  const folder = new CredentialFolder(home);
  const credential = (subject: string, more: object = {}) =>
    JSON.stringify(issueCredential(
      {
        subject,
        type: "AgentCapabilityCredential",
        claims: { capabilities: ["translate"] },
        validFromMs: 0,
        ...more,
      },
      { identity: issuer },
    ));
  await folder.hold(credential(peer.didKey));
  await folder.hold(credential(issuer.didKey));
  await folder.hold(credential(peer.didKey, { validUntilMs: 1 }));

  // Nobody answers at that name; a refused look-up is not a proof.
  const flags = { "identity-did-web": "did:web:localhost%3A1" };
  await using theirs = await startTestDaemon({ home, flags });
  await using mine = await startTestDaemon();
  await using agent = new Node({
    daemonAddr: theirs.daemon.grpcAddress,
    card: { name: "P", skills: [{ id: "s" }] },
  });
  await using me = new Node({ daemonAddr: mine.daemon.grpcAddress });
  await Promise.all([agent.start(), me.start()]);
  await mine.rpc.unary(NodeService.method.connectPeer, {
    ...{ peerId: theirs.daemon.peerId, addresses: theirs.daemon.addresses() },
  });
  const { card, check } = await me.checkCard(theirs.daemon.peerId);
  equal(card.didWeb, "did:web:localhost%3A1");
  equal(check?.signed, true);
  equal(card.signedAt instanceof Date, true);
  deepEqual(check?.dids.map(({ verdict }) => verdict), ["unverifiable"]);
  deepEqual(check?.credentials.map(({ verdict }) => verdict).sort(), ["expired", "valid", "wrong_subject"]);
  equal((await me.getCard(theirs.daemon.peerId)).name, "P");

  // A credential that is taken away is gone from the card when the daemon reads it again.
  for (const { id } of check?.credentials ?? []) await folder.drop(id ?? "");
  await agent.reloadDaemon();
  deepEqual((await me.checkCard(theirs.daemon.peerId)).check?.credentials, []);
});
