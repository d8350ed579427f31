import type { AdmitSend, AdmitTask, Refusal, SendRequest, TaskRequest } from "../../a2a/mod.ts";
import { LOCAL_CALLER } from "../../a2a/mod.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { Config } from "../../core/config.ts";
import type { Logger } from "../../core/log.ts";
import type { RateLimits } from "../../core/settings/policy.ts";
import { isPeerId, toDidKey } from "../../identity/mod.ts";
import { type AclRequest, judge, type Party, type Wanted, wantedBy } from "./acl.ts";
import { type AuditEntry, AuditLog } from "./audit_log.ts";
import { fitsAny } from "./pattern.ts";
import { RateLimiter } from "./rate_limiter.ts";

/** What {@link Policy} works with. */
export interface PolicyDeps {
  /** Peer id of this node. */
  peerId: string;
  /** What is proven of a peer, as far as rules ask for it; may take some seconds. Never throws. */
  provenParty(peerId: string, wanted: Wanted): Promise<Party>;
  /** Where a peer is connected. */
  addressOf(peerId: string): string | undefined;
  logger: Logger;
  clock?: Clock;
  /** Is told of each decision. Default nobody. */
  onDecision?: (wire: string, decision: AuditEntry["decision"]) => void;
}

/** A decision, and what it was about. */
type Decision = Pick<AuditEntry, "decision" | "rule" | "reason">;
type Facts = Omit<AuditEntry, keyof Decision>;

/** Key of the bucket that all share. */
const EVERYBODY = "*";

/**
 * Decides who may send which tasks to this node and through it, how fast and how many, and writes each decision down. Rules
 * can be replaced while it runs.
 */
export class Policy implements Disposable {
  readonly #deps: Required<PolicyDeps>;
  readonly #limiter: RateLimiter;
  #config: Config["policy"];
  #audit: AuditLog | undefined;

  constructor(config: Config["policy"], deps: PolicyDeps) {
    this.#deps = { clock: systemClock, onDecision: () => {}, ...deps };
    this.#limiter = new RateLimiter(this.#deps.clock);
    this.#config = config;
    this.#audit = this.#openAudit();
  }

  /** Goes on by other rules; what was taken already stays. */
  reload(config: Config["policy"]): void {
    this.#audit?.[Symbol.dispose]();
    this.#config = config;
    this.#audit = this.#openAudit();
  }

  /** Decides on what comes in, for the engine. */
  readonly admit: AdmitTask = async (request) => {
    const { peerId, taskId, skillId } = request;
    const facts: Facts = {
      ...{ direction: "inbound", wire: wireOf(peerId), address: this.#addressOf(peerId) },
      ...{ source: peerId, target: this.#deps.peerId, skill: skillId, task: taskId },
    };
    const source = await this.#partyOf(peerId, "inbound");
    const denied = this.#judge({ direction: "inbound", source, target: this.#self(), skillId });
    const decision = denied.decision === "deny" ? denied : this.#limit(source, request) ?? denied;
    return this.#conclude(facts, decision);
  };

  /** Decides on what goes out, for the engine. */
  readonly admitSend: AdmitSend = async (request) => {
    const { caller, peerId, taskId, skillId } = request;
    const facts: Facts = {
      ...{ direction: "outbound", wire: wireOf(caller), address: this.#addressOf(peerId) },
      ...{ source: caller, target: peerId, skill: skillId, task: taskId },
    };
    const source = basicParty(caller);
    const denied = await this.#judgeSend(request, source);
    const isCounted = !request.isChoice && denied.decision === "allow";
    const decision = isCounted
      ? this.#limit(source, { isNew: true, openTasks: request.openTasks }) ?? denied
      : denied;
    return this.#conclude(facts, decision);
  };

  [Symbol.dispose](): void {
    this.#audit?.[Symbol.dispose]();
  }

  /** Who uses this node as a way to others has to be welcome at it, as one who sends to its own agent. */
  async #judgeSend({ caller, peerId, skillId }: SendRequest, source: Party): Promise<Decision> {
    if (caller !== LOCAL_CALLER) {
      const welcome = this.#judge({ direction: "inbound", source, target: this.#self(), skillId });
      if (welcome.decision === "deny") return welcome;
    }
    // For a skill, each one who offers it is judged when his turn comes.
    if (peerId === "") {
      return { decision: "allow", rule: undefined, reason: "an agent is still to be chosen" };
    }
    const target = await this.#partyOf(peerId, "outbound");
    return this.#judge({ direction: "outbound", source, target, skillId });
  }

  #judge(request: AclRequest): Decision {
    const { allowed, rule, reason } = judge(this.#config.acl, request);
    return { decision: allowed ? "allow" : "deny", rule, reason };
  }

  /** Undefined within the limits. */
  #limit(
    source: Party,
    { isNew, openTasks }: Pick<TaskRequest, "isNew" | "openTasks">,
  ): Decision | undefined {
    const { maxTasks, ...rate } = this.#limitsOf(source);
    if (isNew && maxTasks > 0 && openTasks >= maxTasks) {
      return {
        decision: "task_limit",
        rule: undefined,
        reason: `at most ${maxTasks} unfinished tasks at once`,
      };
    }
    const { totalRps } = this.#config.rateLimit;
    const waitMs = this.#limiter.take(source.id, rate) ||
      this.#limiter.take(EVERYBODY, { rps: totalRps, burst: Math.max(1, Math.ceil(totalRps)) });
    if (waitMs === 0) return undefined;
    const wait = waitMs < 1_000 ? `${waitMs} ms` : `${Math.ceil(waitMs / 1_000)} s`;
    return { decision: "rate_limit", rule: undefined, reason: `too many tasks: try again in ${wait}` };
  }

  #limitsOf({ names }: Party): RateLimits {
    const { byDefault, overrides } = this.#config.rateLimit;
    return overrides.find(({ source }) => fitsAny(source, names)) ?? byDefault;
  }

  #conclude(facts: Facts, decision: Decision): Refusal | undefined {
    this.#audit?.write({ ...facts, ...decision }, this.#deps.clock.now());
    this.#deps.onDecision(facts.wire, decision.decision);
    if (decision.decision === "allow") return undefined;
    this.#deps.logger.debug("Refused by the policy", { ...facts, ...decision });
    if (decision.decision !== "deny") return { code: "resource_exhausted", reason: decision.reason };
    // A stranger need not learn what the rules are.
    const reason = facts.source === LOCAL_CALLER
      ? `the policy of this node does not allow it: ${decision.reason}`
      : "the policy of this node does not allow it";
    return { code: "permission_denied", reason };
  }

  #partyOf(id: string, direction: AclRequest["direction"]): Party | Promise<Party> {
    if (!isPeerId(id)) return basicParty(id);
    const wanted = wantedBy(this.#config.acl, direction);
    return wanted.names.length + wanted.issuers.length > 0
      ? this.#deps.provenParty(id, wanted)
      : basicParty(id);
  }

  /** Only the audit log wants to know. */
  #addressOf(peerId: string): string | undefined {
    return this.#audit && this.#deps.addressOf(peerId);
  }

  #self(): Party {
    return basicParty(this.#deps.peerId);
  }

  #openAudit(): AuditLog | undefined {
    const { auditLogPath, auditMaxBytes: maxBytes, auditKeep: keep } = this.#config;
    return auditLogPath === undefined
      ? undefined
      : new AuditLog(auditLogPath, { maxBytes, keep, logger: this.#deps.logger });
  }
}

/** What an id proves by itself: a peer's did:key, and the DID with which a caller over ANP has signed his request. */
export function basicParty(id: string): Party {
  const names = [
    id,
    ...isPeerId(id) ? [toDidKey(id)] : [],
    ...id.startsWith("anp:did:") ? [id.slice("anp:".length)] : [],
  ];
  return { id, names, credentials: [] };
}

function wireOf(id: string): string {
  return /^(http|anp|mcp|grpc):/.exec(id)?.[1] ?? "libp2p";
}
