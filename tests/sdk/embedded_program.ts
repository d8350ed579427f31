/** A program with an embedded node in it: sends a task to nobody, then ends by itself or stays. */
import { Node } from "../../sdk/mod.ts";

const NOBODY = "12D3KooWAzxdtHBUGs6Br2hTzGURJbsPHm2Gw4j1gsPWEnXv6k2x";

const node = new Node({ mode: "embedded", home: Deno.args[0] ?? "" });
await node.start();
const { taskId } = await node.sendTask("hi", { peerId: NOBODY });
console.log(`TASK=${taskId}`);
if (Deno.args[1] === "stay") await node.serveForever();
await node.stop();
console.log("STOPPED=true");
