import { CredentialFolder } from "../../identity/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { requireIdentity } from "../own_trust.ts";
import type { VerbContext } from "../verb.ts";

/** Revokes a credential that this node has issued. */
export async function run({ args: [id = ""], output, loadConfig }: VerbContext): Promise<number> {
  const config = loadConfig();
  await requireIdentity(config);
  const { claims, revokedAtMs } = await new CredentialFolder(config.home).revoke(id, Date.now());
  const listUrl = claims.status[0]?.listUrl;
  output.result(
    { id, revokedAt: new Date(revokedAtMs ?? 0), ...(listUrl !== undefined && { listUrl }) },
    () => [
      `${id} is revoked.`,
      listUrl === undefined
        ? "Others cannot find that out: it was issued without identity.status_list_url."
        : `Others find that out at ${listUrl} within about a minute, while the bridge of this node serves it.`,
    ],
  );
  return EXIT_OK;
}
