import { CodedError } from "../../core/errors.ts";
import type { Config } from "../../core/config.ts";
import { basicParty, judge, openTrust, type Party, wantedBy } from "../../daemon/mod.ts";
import { createIdentity, fromDidKey, isDidKey } from "../../identity/mod.ts";
import { EXIT_CODE_OF, EXIT_OK } from "../exit_codes.ts";
import { toFacts } from "../output.ts";
import { readCredential } from "../read_credential.ts";
import { findDaemon } from "../session.ts";
import type { VerbContext } from "../verb.ts";

export interface PolicyCheckOptions {
  readonly from?: string;
  readonly to?: string;
  readonly skill?: string;
  readonly did?: readonly string[];
  readonly credential?: readonly string[];
}

/** Explains what the policy says to a task, without sending one. */
export async function run(context: VerbContext<PolicyCheckOptions>): Promise<number> {
  const { options, output } = context;
  const config = context.loadConfig();
  const { from, to, skill = "" } = options;
  if (from === undefined && to === undefined) {
    throw new CodedError("invalid_argument", "Name who sends with --from, or whom a task goes to with --to");
  }
  const direction = to === undefined ? "inbound" : "outbound";
  const other = await partyOf(to ?? from ?? "", context, direction);
  const source = direction === "inbound" ? other : basicParty(from ?? "grpc:local");
  const target = direction === "outbound" ? other : basicParty("this node");
  const verdict = judge(config.policy.acl, { direction, source, target, skillId: skill });
  const { byDefault } = config.policy.rateLimit;
  const facts = {
    allowed: verdict.allowed,
    rule: verdict.rule ?? null,
    reason: verdict.reason,
    direction,
    names: other.names,
  };
  output.result({ ...facts, credentials: other.credentials.map(({ id }) => id) }, () => [
    `${verdict.allowed ? "Allowed" : "Denied"}: ${verdict.reason}`,
    ...toFacts({
      "Known as": other.names.join(", "),
      "Credentials": other.credentials.map(({ types, issuer }) => `${types.join(" ")} by ${issuer}`).join(
        "; ",
      ),
      "Tasks a second": byDefault.rps === 0 ? "" : byDefault.rps,
      "Unfinished at once": byDefault.maxTasks === 0 ? "" : byDefault.maxTasks,
    }),
  ]);
  return verdict.allowed ? EXIT_OK : EXIT_CODE_OF.permission_denied;
}

/** All that is known of the other side: what it proves itself, what the running daemon has found out, what is given here. */
async function partyOf(
  name: string,
  { options, loadConfig, stdin }: VerbContext<PolicyCheckOptions>,
  direction: "inbound" | "outbound",
): Promise<Party> {
  const config = loadConfig();
  const party = basicParty(isDidKey(name) ? fromDidKey(name) : name);
  const { did: given = [], credential: files = [] } = options;
  const { names: wanted } = wantedBy(config.policy.acl, direction);
  const found = wanted.length > 0 ? await askDaemon(config, party.id) : [];
  const names = [...new Set([...party.names, ...found, ...given])];
  using trust = openTrust(config, { identity: createIdentity(crypto.getRandomValues(new Uint8Array(32))) });
  const credentials: Party["credentials"][number][] = [];
  for (const file of files) {
    const text = await readCredential(file, stdin);
    const { verdict, reason, claims } = await trust.verifier.verify(text, { subjects: names });
    if (verdict !== "valid" || claims === undefined) {
      throw new CodedError("failed_precondition", `The credential in ${file} is ${verdict}: ${reason}`);
    }
    credentials.push(claims);
  }
  return { ...party, names, credentials };
}

/** The DIDs that the running daemon has proven of a peer. */
async function askDaemon(config: Config, peerId: string): Promise<readonly string[]> {
  await using session = await findDaemon(config.grpcListen);
  if (session === undefined) return [];
  try {
    const { check } = await session.node.checkCard(peerId);
    return check?.dids.flatMap(({ did, verdict }) => verdict === "verified" ? did : []) ?? [];
  } catch {
    return []; // it has no card of that peer
  }
}
