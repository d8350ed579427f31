import { createIdentity, CredentialFolder, issueCredential, replaceKey } from "../../identity/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { refuseWhileRunning, requireIdentity } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

/** Gives this node a new key, and a credential by its former one that says so. */
export async function run({ output, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  await refuseWhileRunning(config, "change the key");
  const before = await requireIdentity(config);
  const after = createIdentity(crypto.getRandomValues(new Uint8Array(32)));
  const credential = issueCredential({
    subject: after.didKey,
    type: "AgentKeyRotationCredential",
    claims: { type: "AgentKeyRotation", previous: before.didKey, previousPeerId: before.peerId },
    validFromMs: Date.now(),
  }, { identity: before });
  // First the proof: with the new key alone nobody could tell that it is the same node.
  await new CredentialFolder(config.home).hold(JSON.stringify(credential));
  const kept = await replaceKey(config.keyPath, after);
  output.result({ peerId: after.peerId, didKey: after.didKey, previous: before.peerId, kept }, () => [
    `This node is ${after.peerId} now; before it was ${before.peerId}.`,
    `The former key is in ${kept}. It has signed a credential about the new one, which goes out with the card.`,
    "Who names this node by its peer id or did:key has to be told; did:web documents follow by themselves.",
  ]);
  return EXIT_OK;
}
