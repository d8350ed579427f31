import assert from "node:assert/strict";
import { playLife } from "../support/fault_life.ts";
import { LIFE_SCRIPTS } from "../support/fault_life_scripts.ts";
import { createFaultRandom } from "../support/fault_random.ts";

/** Lives with random deaths. */
const RANDOM_LIVES = 300;
const SIDES = ["sender", "receiver"] as const;
const MOMENTS = ["before", "after"] as const;

for (const script of LIFE_SCRIPTS) {
  Deno.test(`a task keeps its promises when an engine dies at any one commit: ${script.name}`, async () => {
    const { commits, problems, deaths } = await playLife(script);
    assert.deepEqual({ problems, deaths }, { problems: [], deaths: 0 });
    assert.ok(commits.sender >= 2);
    for (const side of SIDES) {
      for (let commit = 1; commit <= commits[side]; commit++) {
        for (const when of MOMENTS) {
          const result = await playLife(script, { deaths: { [side]: [{ commit, when }] } });
          const where = `the ${side} died ${when} commit ${commit} of ${commits[side]}`;
          assert.deepEqual([result.problems, result.deaths], [[], 1], where);
        }
      }
    }
  });
}

Deno.test("a task keeps its promises when both engines die again and again", async () => {
  let died = 0;
  for (let seed = 1; seed <= RANDOM_LIVES; seed++) {
    const random = createFaultRandom(seed);
    const plans = () =>
      Array.from({ length: random.between(0, 4) }, () => ({
        commit: random.between(1, 4),
        when: random.pick(MOMENTS),
      }));
    const deaths = { sender: plans(), receiver: plans() };
    const script = random.pick(LIFE_SCRIPTS);
    const result = await playLife(script, { deaths });
    assert.deepEqual(result.problems, [], `seed ${seed}: ${script.name} ${JSON.stringify(deaths)}`);
    died += result.deaths;
  }
  assert.ok(died > RANDOM_LIVES, `${died} deaths in ${RANDOM_LIVES} lives are too few to tell anything`);
});
