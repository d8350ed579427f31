/** Which received tasks an agent is for. */
export interface AgentRole {
  /** Names the agent, the same each time it subscribes. */
  readonly agentId: string;
  /** The skills it has. */
  readonly skills: readonly string[];
  /** Whether it also takes tasks for no skill, and for skills that no other agent has. */
  readonly others: boolean;
}

/** Of a task, what decides who gets it. */
export interface TaskForAgent {
  /** Empty for none. */
  readonly skillId: string;
  /** The agent that it was given to; empty for none, or when that is not known any more. */
  readonly agentId: string;
  /** Whether it is from an earlier run. */
  readonly restored: boolean;
}

interface Member {
  readonly roles: AgentRole[];
  /** Until when an agent that is away is waited for. */
  awayUntilMs: number | undefined;
}

/** The agents of a node that say what they are for: those that are there, and those that left a moment ago and may come back. */
export class AgentRoster {
  readonly #members = new Map<string, Member>();
  /** Agents of an earlier run that have not come back yet, and until when they are waited for. */
  readonly #expected = new Map<string, number>();

  join(role: AgentRole): void {
    this.#expected.delete(role.agentId);
    const { agentId } = role;
    const roles = this.isThere(agentId) ? this.#members.get(agentId)?.roles ?? [] : [];
    this.#members.set(agentId, { roles: [...roles, role], awayUntilMs: undefined });
  }

  /** Answers whether the agent is gone with it: until `untilMs` it is waited for. */
  leave(role: AgentRole, untilMs: number): boolean {
    const member = this.#members.get(role.agentId);
    if (member === undefined) return false;
    const index = member.roles.indexOf(role);
    if (member.roles.length > 1 && index >= 0) {
      member.roles.splice(index, 1);
      return false;
    }
    member.awayUntilMs = untilMs; // with its role: nobody else is to refuse its tasks
    return true;
  }

  /** The agent will not come back; answers whether it was waited for. */
  forget(agentId: string): boolean {
    const wasExpected = this.#expected.delete(agentId);
    if (this.isThere(agentId)) return wasExpected;
    return this.#members.delete(agentId) || wasExpected;
  }

  /** Agents of an earlier run: what is from then waits for all of them. */
  expect(agentIds: readonly string[], untilMs: number): void {
    for (const agentId of agentIds) if (!this.isThere(agentId)) this.#expected.set(agentId, untilMs);
  }

  /** Gives up those whose time is over; answers whether there were any. */
  expire(nowMs: number): boolean {
    let isLess = false;
    for (const [agentId, { awayUntilMs = Infinity }] of this.#members) {
      if (awayUntilMs <= nowMs) isLess = this.#members.delete(agentId) || isLess;
    }
    for (const [agentId, untilMs] of this.#expected) {
      if (untilMs <= nowMs) isLess = this.#expected.delete(agentId) || isLess;
    }
    return isLess;
  }

  isThere(agentId: string): boolean {
    const member = this.#members.get(agentId);
    return member !== undefined && member.awayUntilMs === undefined;
  }

  /** Whether the task is kept for an agent that may come back. */
  isKept({ agentId, restored }: TaskForAgent): boolean {
    if (agentId === "") return restored && this.#expected.size > 0;
    return this.#members.get(agentId)?.awayUntilMs !== undefined;
  }

  /** Whether `role` is for the task. A new one that nobody is for is for everybody, so that it is refused. */
  isFor(task: TaskForAgent, { agentId, skills, others }: AgentRole): boolean {
    if (task.agentId !== agentId && this.isKept(task)) return false;
    const { skillId } = task;
    if (skillId !== "" && skills.includes(skillId)) return true;
    if (skillId !== "" && this.#some((role) => role.skills.includes(skillId))) return false;
    const isFree = task.agentId === "" || task.agentId === agentId;
    if (others) return isFree || skillId === "";
    return isFree && !task.restored && !this.#some((role) => role.others);
  }

  #some(condition: (role: AgentRole) => boolean): boolean {
    for (const { roles } of this.#members.values()) if (roles.some(condition)) return true;
    return false;
  }
}
