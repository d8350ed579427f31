import type { AclRule, CredentialRule } from "../../core/settings/policy.ts";
import type { CredentialClaims } from "../../identity/mod.ts";
import { fitsAny, fitsPattern } from "./pattern.ts";

/** Somebody as the rules see him. */
export interface Party {
  /** Peer id, caller or URL. */
  readonly id: string;
  /** All names that are proven to be his, `id` among them. */
  readonly names: readonly string[];
  /** His valid credentials. */
  readonly credentials: readonly CredentialClaims[];
}

/** What is to be judged. */
export interface AclRequest {
  readonly direction: "inbound" | "outbound";
  readonly source: Party;
  readonly target: Party;
  /** Empty when none is named. */
  readonly skillId: string;
}

/** What the rules say. */
export interface AclVerdict {
  readonly allowed: boolean;
  /** Number of the rule that decided, from 1; undefined when none did. */
  readonly rule: number | undefined;
  readonly reason: string;
}

/** What the rules say to a request: the first that fits decides; without any rule all is allowed, else nothing is. */
export function judge(rules: readonly AclRule[], request: AclRequest): AclVerdict {
  const about = (rule: AclRule) => rule.direction === "both" || rule.direction === request.direction;
  const index = rules.findIndex((rule) => about(rule) && fits(rule, request));
  const rule = rules[index];
  if (rule !== undefined) {
    const reason = `rule ${index + 1} ${rule.allow ? "allows" : "denies"} it (${describeRule(rule)})`;
    return { allowed: rule.allow, rule: index + 1, reason };
  }
  return rules.some(about)
    ? { allowed: false, rule: undefined, reason: `no rule allows it (${request.direction})` }
    : { allowed: true, rule: undefined, reason: `there are no rules (${request.direction})` };
}

/** What has to be found out about the other side to judge: patterns of names and of those who issue credentials. */
export interface Wanted {
  readonly names: readonly string[];
  readonly issuers: readonly string[];
}

/** What the rules want to know beyond ids and did:keys. Nothing else is looked up: strangers choose what is on a card. */
export function wantedBy(rules: readonly AclRule[], direction: AclRequest["direction"]): Wanted {
  const about = rules.filter((rule) => rule.direction === "both" || rule.direction === direction);
  const names = about.map((rule) => direction === "inbound" ? rule.source : rule.target).filter(
    mayBeOtherDid,
  );
  return { names, issuers: about.flatMap(({ credential }) => credential?.issuer ?? []) };
}

/** A rule in a few words. */
function describeRule({ direction, source, target, skill, credential }: AclRule): string {
  const facts = [
    direction,
    `source ${source}`,
    ...direction === "outbound" ? [`target ${target}`] : [],
    `skill ${skill}`,
    ...credential === undefined ? [] : [`credential ${credential.type} by ${credential.issuer}`],
  ];
  return facts.join(", ");
}

function fits(rule: AclRule, { direction, source, target, skillId }: AclRequest): boolean {
  const other = direction === "inbound" ? source : target;
  return fitsAny(rule.source, source.names) &&
    (direction === "inbound" || fitsAny(rule.target, target.names)) &&
    fitsPattern(rule.skill, skillId) &&
    (rule.credential === undefined || other.credentials.some(isWanted(rule.credential)));
}

function isWanted(rule: CredentialRule): (credential: CredentialClaims) => boolean {
  return ({ issuer, types, capabilities }) =>
    fitsPattern(rule.issuer, issuer) &&
    (rule.type === "*" || fitsAny(rule.type, types)) &&
    (rule.capability === "*" || fitsAny(rule.capability, capabilities));
}

/** Whether the pattern may be meant for a DID that only a look-up proves: it could begin with `did:` and is not all or a did:key. */
function mayBeOtherDid(pattern: string): boolean {
  if (pattern === "*" || pattern.startsWith("did:key:")) return false;
  const fixed = pattern.slice(0, pattern.search(/[*?]|$/));
  return fixed.startsWith("did:") || (fixed !== pattern && "did:".startsWith(fixed));
}
