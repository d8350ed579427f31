import assert from "node:assert/strict";
import { NodeService } from "../../../gen/agentanycast/v1/node_service_pb.ts";
import { TaskStatus } from "../../../gen/agentanycast/v1/a2a_models_pb.ts";
import { startHttpScript } from "../../support/http_script.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { startTestDaemon } from "../../support/test_daemon.ts";

const PEM = (name: string) => new URL(`../../testdata/tls/${name}.pem`, import.meta.url).pathname;

/** An A2A agent over TLS that wants a token, and answers each message at once. */
function startGuardedAgent(token: string) {
  const tls = {
    cert: Deno.readTextFileSync(PEM("agent_test")),
    key: Deno.readTextFileSync(PEM("agent_test_key")),
  };
  return startHttpScript(({ path, headers, json }, url) => {
    if (headers.get("authorization") !== `Bearer ${token}`) return new Response("who?", { status: 401 });
    if (path === "/.well-known/agent-card.json") {
      const supportedInterfaces = [{ url: `${url}/a2a`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }];
      return { name: "Guarded", capabilities: {}, supportedInterfaces };
    }
    const message = { messageId: "m", role: "ROLE_AGENT", parts: [{ text: "welcome" }] };
    return json && { jsonrpc: "2.0", id: json.id, result: { message } };
  }, tls);
}

Deno.test("a daemon shows an agent the credentials of its origin, and trusts the authority given for it", async () => {
  await using agent = startGuardedAgent("t0k");
  await using other = startHttpScript(() => undefined);
  await using dir = await tempDir();
  const home = `${dir.path}/home`;
  await Deno.mkdir(home, { mode: 0o700 });
  const text = `["${agent.url}"]\nbearer = "t0k"\nca = "${PEM("agent_test")}"\n`;
  await Deno.writeTextFile(`${home}/credentials.toml`, text, { mode: 0o600 });
  await using node = await startTestDaemon({ home, flags: { "outbound-allow": "127.0.0.1" } });
  const end = async (url: string) => {
    const content = { case: "textPart", value: { text: "hello" } } as const;
    const { task } = await node.rpc.unary(NodeService.method.sendTask, {
      target: { case: "url", value: url },
      message: { parts: [{ content }] },
    });
    const updates = await Array.fromAsync(
      node.rpc.stream(NodeService.method.subscribeTaskUpdates, { taskId: task?.taskId ?? "" }),
    );
    return updates.at(-1);
  };
  assert.equal((await end(agent.url))?.status, TaskStatus.COMPLETED);
  assert.equal((await end(other.url))?.status, TaskStatus.REJECTED);
  assert.ok(other.seen.every(({ headers }) => headers.get("authorization") === null));
});
