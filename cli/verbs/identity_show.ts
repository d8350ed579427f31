import { createDidDocument } from "../../identity/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toFacts } from "../output.ts";
import { openOwnTrust } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

export interface IdentityShowOptions {
  readonly document?: boolean;
}

/** Prints who this node is, or the document of its did:key. */
export async function run(context: VerbContext<IdentityShowOptions>): Promise<number> {
  const { options, output } = context;
  const config = context.loadConfig();
  using own = await openOwnTrust(config);
  const { peerId, didKey, publicKey } = own.identity;
  const { didWeb, didWba, didDns } = own.trust.dids;
  if (options.document) {
    const document = createDidDocument(didKey, { publicKeys: [publicKey] });
    output.result(document, () => JSON.stringify(document, null, 2).split("\n"));
    return EXIT_OK;
  }
  const names = Object.fromEntries(
    Object.entries({ didWeb, didWba, didDns }).filter(([, did]) => did !== ""),
  );
  output.result(
    { peerId, didKey, ...names, publicKey: publicKey.toHex(), key: config.keyPath },
    () =>
      toFacts({
        "Peer id": peerId,
        "did:key": didKey,
        "did:web": didWeb,
        "did:wba": didWba,
        "did:dns": didDns,
        "Public key": publicKey.toHex(),
        "Key file": config.keyPath,
      }),
  );
  return EXIT_OK;
}
