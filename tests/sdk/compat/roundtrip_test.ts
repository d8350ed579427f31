// Whatever a task, a card, a skill or a record can be, it comes back as it was.
import assert from "node:assert/strict";
import {
  type A2aVersion,
  type CompatCard,
  type CompatSkill,
  fromA2aArtifact,
  fromA2aCard,
  fromA2aMessage,
  fromA2aPart,
  fromA2aSkill,
  fromA2aTask,
  fromMcpTool,
  fromOasfRecord,
  toA2aArtifact,
  toA2aCard,
  toA2aMessage,
  toA2aPart,
  toA2aSkill,
  toA2aTask,
  toMcpTool,
  toOasfRecord,
} from "../../../sdk/compat/mod.ts";
import { Generator } from "./generated.ts";
import { sent } from "./samples.ts";

const VERSIONS: readonly A2aVersion[] = ["1.0", "0.3", "legacy"];
const SEEDS = Array.from({ length: 100 }, (_, seed) => seed);

/** Has `back` give what `make` made, for every seed; names the first seed that it does not for. */
function comesBack<T>(name: string, make: (g: Generator) => T, back: (value: T) => unknown): void {
  for (const seed of SEEDS) {
    const value = make(new Generator(seed));
    let result: unknown;
    try {
      result = back(value);
    } catch (error) {
      throw new Error(`${name}, seed ${seed}: ${error}\n${Deno.inspect(value, { depth: 9 })}`);
    }
    assert.deepEqual(result, value, `${name}, seed ${seed}\n${Deno.inspect([value, result], { depth: 9 })}`);
  }
}

/** Without empty descriptions, which the older form does not tell from none. */
function described<T extends CompatCard | CompatSkill>({ description, ...rest }: T): T {
  const own = { ...rest, ...(description && { description }) } as T;
  return "skills" in own ? { ...own, skills: own.skills.map(described) } : own;
}

for (const version of VERSIONS) {
  const o = { version };
  Deno.test(`toA2aTask() and the others lose nothing of any task in ${version}`, () => {
    comesBack("part", (g) => g.part(), (part) => fromA2aPart(sent(toA2aPart(part, o)), o));
    comesBack("message", (g) => g.message(), (message) => fromA2aMessage(sent(toA2aMessage(message, o)), o));
    comesBack("artifact", (g) => g.artifact(), (one) => fromA2aArtifact(sent(toA2aArtifact(one, o)), o));
    comesBack("task", (g) => g.task(), (task) => fromA2aTask(sent(toA2aTask(task, o)), o));
  });

  Deno.test(`toA2aCard() loses nothing of any card in ${version}`, () => {
    const make = (g: Generator) => version === "legacy" ? described(g.card()) : g.card();
    comesBack("card", make, (card) => fromA2aCard(sent(toA2aCard(card, o)), o));
  });
}

Deno.test("toA2aSkill() loses nothing of any skill in legacy", () => {
  const o = { version: "legacy" } as const;
  comesBack("skill", (g) => described(g.skill()), (skill) => fromA2aSkill(sent(toA2aSkill(skill, o)), o));
});

Deno.test("toOasfRecord() loses nothing of any card, in both dialects", () => {
  for (const dialect of ["1.0", "legacy"] as const) {
    const make = (g: Generator) => dialect === "legacy" ? described(g.card()) : g.card();
    comesBack(dialect, make, (card) => fromOasfRecord(sent(toOasfRecord(card, { dialect }))).card);
  }
});

Deno.test("toMcpTool() loses nothing of any skill", () => {
  comesBack("skill", (g) => g.skill(), (skill) => fromMcpTool(sent(toMcpTool(skill))));
});
