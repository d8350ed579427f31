import assert from "node:assert/strict";
import https from "node:https";
import { join } from "node:path";
import { A2AService } from "../../../gen/lf/a2a/v1/a2a_pb.ts";
import { createRpcClient } from "../../../rpc/rpc_client.ts";
import { P2P_BINDING } from "../../../daemon/a2a_api/agent_cards.ts";
import { startBridgeAgent } from "../../support/bridge_agent.ts";
import { bridgeSteps } from "../../support/bridge_steps.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { type Json, message, startTestBridge } from "../../support/test_bridge.ts";
import { testCertificate } from "../../support/test_certificate.ts";
import { startTestDaemon } from "../../support/test_daemon.ts";

const V1 = { "a2a-version": "1.0" };
const TOKENS = { AGENTANYCAST_BRIDGE_TOKENS: "alice=alice-secret,bob=bob-secret" };
const ALICE = { ...V1, authorization: "Bearer alice-secret" };
const BOB = { ...V1, authorization: "bearer bob-secret" };

const callers = bridgeSteps(
  "the bridge serves callers that prove who they are, each its own tasks",
  (bridge) => bridge,
  { env: TOKENS, flags: { "bridge-grpc-listen": "127.0.0.1:0" } },
);

callers.step("others are told how to", async ({ rpc, rest, get }) => {
  const wrong = [
    V1,
    { ...V1, authorization: "Bearer wrong-secret" },
    { ...V1, "x-api-key": "alice-secret" },
  ];
  for (const headers of wrong) {
    const { status, headers: told, json } = await rpc("ListTasks", {}, headers);
    assert.deepEqual([status, json.id, json.error.code], [401, 1, -32000]);
    assert.match(told.get("www-authenticate") ?? "", /^Bearer/);
    const answer = await rest("GET", "/tasks", { headers });
    assert.deepEqual([answer.status, answer.json.error.status], [401, "UNAUTHENTICATED"]);
  }
  const card = (await get("/.well-known/agent-card.json", V1)).json;
  assert.deepEqual(card.securitySchemes, { bearer: { httpAuthSecurityScheme: { scheme: "Bearer" } } });
  assert.deepEqual(card.securityRequirements, [{ schemes: { bearer: {} } }]);
  const legacy = (await get("/.well-known/agent-card.json")).json;
  assert.deepEqual([legacy.security, legacy.securitySchemes.bearer.type], [[{ bearer: [] }], "http"]);
});

callers.step("a stranger's long request is not read", async ({ url }) => {
  // Were it read, the connection would wait for the rest of it.
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  const head = "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n";
  await connection.write(new TextEncoder().encode(`${head}content-length: 1000000\r\n\r\n{`));
  const said = new Uint8Array(64);
  const length = await connection.read(said) ?? 0;
  assert.match(new TextDecoder().decode(said.subarray(0, length)), /^HTTP\/1\.1 401 /);
});

callers.step("a caller sees nobody else's tasks", async ({ rpc }) => {
  const same = message("hi");
  const one = (await rpc("SendMessage", same, ALICE)).json.result.task;
  const two = (await rpc("SendMessage", same, BOB)).json.result.task;
  assert.notEqual(one.id, two.id);
  for (const method of ["GetTask", "CancelTask", "SubscribeToTask"]) {
    assert.equal((await rpc(method, { id: one.id }, BOB)).json.error.code, -32001);
  }
  const config = { taskId: one.id, url: "https://hooks.example/a" };
  assert.equal((await rpc("CreateTaskPushNotificationConfig", config, BOB)).json.error.code, -32001);
  const list = (await rpc("ListTasks", {}, BOB)).json.result;
  assert.deepEqual(list.tasks.map((task: Json) => task.id), [two.id]);
  const more = message("x", { taskId: one.id });
  assert.equal((await rpc("SendMessage", more, BOB)).json.error.code, -32001);
});

callers.step("they get the extended card", async ({ rpc, rest, get, node }) => {
  assert.equal((await get("/.well-known/agent-card.json", V1)).json.capabilities.extendedAgentCard, true);
  const { result } = (await rpc("GetExtendedAgentCard", {}, ALICE)).json;
  const extension = result.capabilities.extensions.find(({ uri }: Json) => uri === P2P_BINDING);
  assert.equal(extension.params.peerId, node.daemon.peerId);
  assert.equal((await rest("GET", "/extendedAgentCard", { headers: ALICE })).json.name, result.name);
  const legacy = { authorization: "Bearer alice-secret" };
  const v03 = (await rpc("agent/getAuthenticatedExtendedCard", {}, legacy)).json.result;
  assert.equal(v03.supportsAuthenticatedExtendedCard, true);
  assert.equal((await rest("GET", "/v1/card", { headers: legacy })).json.name, result.name);
});

callers.step("over gRPC too", async ({ node }) => {
  await using client = createRpcClient(`tcp://${node.daemon.bridgeGrpcAddress}`);
  await assert.rejects(client.unary(A2AService.method.listTasks, {}), /Credentials are missing/);
  const list = (tenant: string) => client.unary(A2AService.method.listTasks, { tenant }, { headers: ALICE });
  assert.ok((await list("")).tasks.length > 0);
  // What is meant for another agent is not done by this node's own.
  await assert.rejects(list("agents/nobody"), { code: "invalid_argument" });
});

const CALLERS_TOML = (folder: string) =>
  `[bridge]
listen = "127.0.0.1:0"
tls_cert = "${folder}/cert.pem"
tls_key = "${folder}/key.pem"
tls_client_ca = "${folder}/cert.pem"
[[bridge.callers]]
name = "anna"
api_key = "anna-secret"
[[bridge.callers]]
name = "bert"
basic = "bert:bert-secret"
[[bridge.callers]]
name = "carol"
certificate = "carol"
`;

interface SecureAnswer {
  readonly status: number;
  readonly json: Json;
  readonly headers: Json;
}

function askSecurely(options: https.RequestOptions): Promise<SecureAnswer> {
  return new Promise((resolve, reject) => {
    const request = https.get({ host: "127.0.0.1", agent: false, ...options }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => text += chunk).on("end", () => {
        resolve({ status: answer.statusCode ?? 0, json: JSON.parse(text), headers: answer.headers });
      });
    });
    request.on("error", reject);
  });
}

Deno.test("the bridge knows callers by API key, password and certificate, from the configuration file", async () => {
  await using folder = await tempDir();
  const own = testCertificate("carol");
  const stranger = testCertificate("mallory");
  await Deno.writeTextFile(join(folder.path, "cert.pem"), own.cert);
  await Deno.writeTextFile(join(folder.path, "key.pem"), own.key);
  await using node = await startTestDaemon({
    ...{ toml: CALLERS_TOML(folder.path), flags: { "bridge-grpc-listen": "127.0.0.1:0" } },
  });
  await using _agent = await startBridgeAgent(node.home);
  const { port } = new URL(node.daemon.bridgeUrl ?? "");
  assert.match(node.daemon.bridgeUrl ?? "", /^https:/);
  const ask = (path: string, options: https.RequestOptions) =>
    askSecurely({ port, path, ca: own.cert, ...options });
  const card = await ask("/.well-known/agent-card.json", { headers: V1 });
  assert.deepEqual(Object.keys(card.json.securitySchemes), ["apiKey", "basic", "mtls"]);
  assert.match(card.json.supportedInterfaces[0].url, /^https:/);
  const basic = `Basic ${btoa("bert:bert-secret")}`;
  assert.equal((await ask("/tasks", { headers: { "x-api-key": "anna-secret" } })).status, 200);
  assert.equal((await ask("/tasks", { headers: { authorization: basic } })).status, 200);
  assert.equal((await ask("/tasks", { cert: own.cert, key: own.key })).status, 200);
  const refused = await ask("/tasks", { cert: stranger.cert, key: stranger.key });
  assert.deepEqual([refused.status, refused.headers["www-authenticate"].slice(0, 5)], [401, "Basic"]);
  await using client = createRpcClient(`tls://${node.daemon.bridgeGrpcAddress}`, { ca: own.cert });
  await assert.rejects(client.unary(A2AService.method.listTasks, {}), /Credentials are missing/);
});

Deno.test("the bridge does not start where strangers could use its agent, unless that is wanted", async () => {
  const open = { "bridge-listen": "0.0.0.0:0" };
  await assert.rejects(startTestDaemon({ flags: open }), { code: "permission_denied" });
  const grpc = { "bridge-grpc-listen": "0.0.0.0:0" };
  await assert.rejects(startTestDaemon({ flags: grpc }), { code: "permission_denied" });
  await using nameless = await startTestDaemon({ flags: { "bridge-grpc-listen": ":0" } });
  assert.match(nameless.daemon.bridgeGrpcAddress ?? "", /^127\.0\.0\.1:\d+$/);
  await using _protected = await startTestDaemon({ flags: open, env: TOKENS });
  await using _wanted = await startTestDaemon({ flags: { ...open, "bridge-allow-anonymous": "true" } });
});

Deno.test("the bridge says what is wrong with its configuration", async () => {
  const listen = { "bridge-listen": "127.0.0.1:0" };
  const rows: [Record<string, string>, RegExp][] = [
    [{ "bridge-tls-cert": "/nowhere" }, /belong together/],
    [{ "bridge-tls-cert": "/nowhere", "bridge-tls-key": "/nowhere" }, /cannot read \/nowhere/],
    [{ "bridge-public-url": "agents.example" }, /no http\(s\) URL/],
    [{ "bridge-trusted-proxies": "proxy" }, /no address or range/],
    [{ "bridge-webhook-allow": "http://[" }, /bridge\.webhook_allow/],
  ];
  for (const [flags, problem] of rows) {
    await assert.rejects(startTestDaemon({ flags: { ...listen, ...flags } }), problem);
  }
  const env = { AGENTANYCAST_BRIDGE_TOKENS: "x" };
  await assert.rejects(startTestDaemon({ flags: listen, env }), /name=token/);
  const start = (text: string) => startTestDaemon({ toml: `[[bridge.callers]]\n${text}` });
  await assert.rejects(start('name = "a"'), /needs one of/);
  await assert.rejects(start('name = "a b"\nbearer = "long-enough"'), /name must be/);
  await assert.rejects(start('name = "a"\nbearer = "short"'), /shorter than 8/);
  await assert.rejects(start('name = "a"\noauth = "long-enough"'), /unknown member "oauth"/);
});

Deno.test("a bridge without callers is not there under names that others have made up for it", async () => {
  const ask = async (url: string) => {
    const { hostname, port } = new URL(url);
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const lines = ["GET /tasks HTTP/1.1", "Host: rebound.example", "A2A-Version: 1.0", "Connection: close"];
    await connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
    return await new Response(connection.readable).text();
  };
  await using bridge = await startTestBridge({ agent: false });
  assert.match(await ask(bridge.url), /^HTTP\/1\.1 403 /);
  await using named = await startTestBridge({
    agent: false,
    flags: { "bridge-public-url": "https://a.example" },
  });
  assert.match(await ask(named.url), /^HTTP\/1\.1 200 /);
});

Deno.test("nobody is local to ANP beside a bridge that has proxies in front of it", async () => {
  const flags = { "anp-beside-bridge": "true", "bridge-trusted-proxies": "127.0.0.1" };
  await using bridge = await startTestBridge({ flags });
  assert.equal((await bridge.rest("POST", "/agent/rpc", { body: { jsonrpc: "2.0", id: 1 } })).status, 401);
});

Deno.test("pages of listed origins may call the bridge", async () => {
  await using bridge = await startTestBridge({ flags: { "bridge-cors-origins": "https://app.example" } });
  const origin = { origin: "https://app.example" };
  const { headers } = await bridge.rpc("SendMessage", message("hi"), { ...V1, ...origin });
  assert.equal(headers.get("access-control-allow-origin"), "https://app.example");
  const asks = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "a2a-version",
  };
  const preflight = await bridge.rest("OPTIONS", "/", { headers: { ...origin, ...asks } });
  assert.equal(preflight.headers.get("access-control-allow-headers"), "a2a-version");
  assert.equal((await bridge.rpc("ListTasks", {}, { ...V1, origin: "https://other.example" })).status, 403);
});
