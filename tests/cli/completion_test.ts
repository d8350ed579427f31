import { deepEqual, equal, match } from "node:assert/strict";
import { SHELLS } from "../../cli/completion.ts";
import { VERBS } from "../../cli/verbs.ts";
import { runInProcess } from "./cli_harness.ts";

const hasBash = await new Deno.Command("bash", { args: ["-c", "true"] }).output().then(
  (run) => run.success,
  () => false,
);

/** What bash offers after `words`, the last of which is being typed. */
async function complete(script: string, words: readonly string[]): Promise<string[]> {
  const probe = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agentanycast; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, success } = await new Deno.Command("bash", {
    args: ["-uc", probe, "bash", ...words],
  }).output();
  equal(success, true, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\n").filter(Boolean);
}

Deno.test({
  name: "completion() offers verbs, second words and options in bash",
  ignore: !hasBash,
  fn: async () => {
    const { stdout: script } = await runInProcess(["completion", "bash"]);
    deepEqual(await complete(script, ["agentanycast", "st"]), ["status", "stop"]);
    deepEqual(await complete(script, ["agentanycast", "task", ""]).then((found) => found.slice(0, 3)), [
      "list",
      "get",
      "watch",
    ]);
    deepEqual(await complete(script, ["agentanycast", "send", "--meta"]), ["--metadata"]);
    deepEqual(await complete(script, ["agentanycast", "task", "get", "id", "--out"]), ["--output"]);
    deepEqual(await complete(script, ["agentanycast", "--home", "/x", "daemon", "--mdns-s"]), [
      "--mdns-service-tag",
    ]);
    deepEqual(await complete(script, ["agentanycast", "daemon", "--nats"]), []);
  },
});

for (const shell of SHELLS) {
  Deno.test(`completion() knows every verb in ${shell}`, async () => {
    const { code, stdout } = await runInProcess(["completion", shell]);
    equal(code, 0);
    for (const { path } of VERBS) match(stdout, new RegExp(`["']${path}["']`), path);
  });
}
