import assert from "node:assert/strict";
import { findSuite, REVISIONS } from "./conformance/suite.ts";

const REQUIRED = { "2025-11-25": 30, "2026-07-28": 37 };
const suite = await findSuite();
const missing = "missing" in suite ? suite.missing : undefined;

for (const revision of REVISIONS) {
  const name = `createMcpEndpoint() passes all that revision ${revision} requires`;
  Deno.test({
    name: missing === undefined ? name : `${name} (skipped: ${missing})`,
    ignore: missing !== undefined,
    fn: async () => {
      if ("missing" in suite) return;
      const required = (await suite.run(revision)).filter(({ required }) => required);
      assert.deepEqual(required.filter(({ passed, failed }) => failed > 0 || passed === 0), []);
      assert.deepEqual(required.length, REQUIRED[revision]);
    },
  });
}
