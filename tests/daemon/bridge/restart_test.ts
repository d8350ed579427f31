import assert from "node:assert/strict";
import { startBridgeAgent } from "../../support/bridge_agent.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { message, startTestBridge } from "../../support/test_bridge.ts";

Deno.test("tasks of the bridge outlive its daemon, and a message sent again is still the same", async () => {
  await using home = await tempDir();
  const sent = message("echo", {}, { returnImmediately: true });
  let id = "";
  {
    await using bridge = await startTestBridge({ home: home.path, agent: false });
    id = (await bridge.rpc("SendMessage", sent)).json.result.task.id;
  }
  await using bridge = await startTestBridge({ home: home.path, agent: false });
  const before = (await bridge.rpc("GetTask", { id })).json.result;
  assert.equal(before.status.state, "TASK_STATE_SUBMITTED");
  await using _agent = await startBridgeAgent(bridge.node.home);
  // The caller asks again, as one does that has not seen the answer, and gets what comes of its first request.
  const { configuration: _, ...again } = sent;
  const { task } = (await bridge.rpc("SendMessage", again)).json.result;
  assert.equal(task.id, id);
  assert.equal(task.status.state, "TASK_STATE_COMPLETED");
  const { tasks } = (await bridge.rpc("ListTasks", {})).json.result;
  assert.equal(tasks.length, 1);
});
