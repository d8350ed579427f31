// A program with an agent: `HOME NAME SKILL`. Runs until it gets SIGTERM.
import { Node } from "../../sdk/mod.ts";

const [home = "", name = "", skill = ""] = Deno.args;
const node = new Node({
  home,
  card: { name, skills: [{ id: skill }] },
  onStatus: ({ state, message }) => {
    if (state === "ready") console.log(`STATUS=${message}`);
  },
});
node.onTask((task) => task.complete(name), { skill });
Deno.addSignalListener("SIGTERM", () => void node.stop());
await node.start();
console.log(`DAEMON=${(await node.info()).pid}`);
await node.serveForever();
Deno.exit(0);
