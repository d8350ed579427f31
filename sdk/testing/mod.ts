/**
 * For tests of agents: a network of nodes in memory, with a clock that the test moves and faults that it decides.
 *
 * ```ts
 * import { createTestNetwork } from "@agentanycast/sdk/testing";
 *
 * Deno.test("the agent echoes", async () => {
 *   await using net = await createTestNetwork();
 *   const agent = await net.node({ card: { name: "Echo", skills: [{ id: "echo" }] } });
 *   agent.onTask((task) => task.complete(`Echo: ${task.text}`));
 *   const client = await net.node();
 *   const handle = await client.sendTask("hi", { skill: "echo" });
 *   const { artifacts } = await handle.wait();
 * });
 * ```
 *
 * Runs on Deno. The engine is the real one: tasks are stored, sent, repeated and ended as they are between daemons.
 *
 * @module
 */
export {
  createTestNetwork,
  type TestNetwork,
  type TestNetworkOptions,
  type TestNodeOptions,
  type WayOptions,
} from "./test_network.ts";
