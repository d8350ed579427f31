import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { verifyAgentCardSignature } from "@a2a-js/sdk";
import { startBridgeAgent } from "../../support/bridge_agent.ts";
import { type Json, message, startTestBridge } from "../../support/test_bridge.ts";
import { bridgeSteps } from "../../support/bridge_steps.ts";
import { startTestDaemon } from "../../support/test_daemon.ts";
import { NodeService } from "../../../gen/agentanycast/v1/node_service_pb.ts";

const V1 = { "a2a-version": "1.0" };

const documents = bridgeSteps("the bridge tells of its agent where clients look for it", (bridge) => bridge, {
  flags: { "bridge-grpc-listen": "127.0.0.1:0" },
});

documents.step(
  "the card of A2A 1.0 has every interface, and nothing of 0.3 for who wants 1.0",
  async ({ get, url }) => {
    const { json } = await get("/.well-known/agent-card.json", V1);
    const known = new Set(
      json.supportedInterfaces.map((one: Json) => `${one.protocolBinding} ${one.protocolVersion}`),
    );
    assert.deepEqual([...known], [
      ...["JSONRPC 1.0", "HTTP+JSON 1.0", "GRPC 1.0", "JSONRPC 0.3", "HTTP+JSON 0.3"],
      "urn:agentanycast:a2a-p2p:2 1.0",
    ]);
    assert.equal(json.supportedInterfaces[0].url, url);
    const { extensions, ...capabilities } = json.capabilities;
    assert.deepEqual(capabilities, { streaming: true, pushNotifications: true });
    assert.deepEqual(extensions.map(({ uri }: Json) => uri), ["urn:agentanycast:a2a-idempotent-send:1"]);
    assert.deepEqual(json.skills[0].tags, ["test", "echo"]);
    assert.equal("url" in json, false);
  },
);

documents.step(
  "without a word about the version it is understood by clients of both",
  async ({ get, url }) => {
    for (const path of ["agent-card.json", "agent.json"]) {
      const { json } = await get(`/.well-known/${path}`);
      assert.deepEqual([json.protocolVersion, json.url, json.preferredTransport], ["0.3.0", url, "JSONRPC"]);
      assert.equal(json.supportedInterfaces.length, 6);
    }
  },
);

documents.step("the official SDK verifies the signature of both", async ({ get, url }) => {
  const { keys } = (await get("/.well-known/jwks.json")).json;
  const asked: string[] = [];
  const verify = verifyAgentCardSignature((kid, jku) => {
    asked.push(String(jku));
    return Promise.resolve(keys.find((key: Json) => key.kid === kid));
  });
  const card = (await get("/.well-known/agent-card.json", V1)).json;
  await verify(card);
  await verify((await get("/.well-known/agent-card.json")).json);
  assert.equal(asked[0], `${url}/.well-known/jwks.json`);
  const header = JSON.parse(Buffer.from(card.signatures[0].protected, "base64url").toString());
  assert.deepEqual([header.alg, header.typ], ["EdDSA", "JOSE"]);
  const debug = console.debug;
  console.debug = () => {}; // the SDK tells why
  await assert.rejects(verify({ ...card, name: "Somebody else" })).finally(() => console.debug = debug);
});

documents.step("clients need not fetch what they have", async ({ get }) => {
  const { headers } = await get("/.well-known/agent-card.json");
  assert.match(headers.get("cache-control") ?? "", /max-age=\d+/);
  const etag = headers.get("etag") ?? "";
  const modified = headers.get("last-modified") ?? "";
  assert.equal((await get("/.well-known/agent-card.json", { "if-none-match": etag })).status, 304);
  assert.equal((await get("/.well-known/agent-card.json", { "if-modified-since": modified })).status, 304);
  assert.equal((await get("/.well-known/agent-card.json", { "if-none-match": '"other"' })).status, 200);
});

documents.step("the other documents", async ({ get, url, node }) => {
  const flat = (await get("/.well-known/a2a-agent-card")).json;
  assert.deepEqual([flat.name, flat.skills[0].id, flat.url], ["Bridge Test Agent", "echo", url]);
  const catalog = (await get("/.well-known/ai-catalog.json")).json;
  assert.equal(catalog.specVersion, "1.0");
  assert.equal(catalog.entries[0].url, `${url}/.well-known/agent-card.json`);
  const did = (await get("/.well-known/did.json")).json;
  assert.equal(did.id, `did:web:${encodeURIComponent(new URL(url).host)}`);
  assert.deepEqual(did.alsoKnownAs, [node.daemon.didKey]);
});

Deno.test("the bridge leads to the agents of the network", async () => {
  await using bridge = await startTestBridge({ agent: false });
  await using other = await startTestDaemon();
  await using _agent = await startBridgeAgent(other.home);
  await bridge.node.rpc.unary(NodeService.method.connectPeer, {
    peerId: other.daemon.peerId,
    addresses: other.daemon.addresses(),
  });
  assert.equal((await bridge.get("/.well-known/agent-card.json")).status, 404);
  const path = `/agents/${other.daemon.peerId}`;
  const card = (await bridge.get(`${path}/.well-known/agent-card.json`, V1)).json;
  assert.deepEqual([card.name, card.supportedInterfaces[0].url], ["Bridge Test Agent", bridge.url + path]);
  const { json } = await bridge.rpcAt(path, "SendMessage", message("hi"));
  assert.equal(json.result.task.artifacts[0].parts[0].text, "Echo: hi");
  assert.equal((await bridge.rest("GET", `${path}/tasks/${json.result.task.id}`)).status, 200);
  assert.equal((await bridge.rest("GET", `/tasks/${json.result.task.id}`)).status, 404);
  const skill = await bridge.get("/skills/echo/.well-known/agent-card.json", V1);
  assert.deepEqual([skill.status, skill.json.skills[0].id], [200, "echo"]);
  const any = await bridge.rpcAt("/skills/echo", "SendMessage", message("any"));
  assert.equal(any.json.result.task.artifacts[0].parts[0].text, "Echo: any");
  assert.equal((await bridge.rpcAt("/agents/nobody", "SendMessage", message("x"))).json.error.code, -32602);
});

Deno.test("cards name the address of the proxy, but only of one that is trusted", async () => {
  const forwarded = { ...V1, forwarded: "for=1.2.3.4;proto=https;host=agents.example" };
  await using strict = await startTestBridge();
  const urlOf = (answer: { json: Json }) => answer.json.supportedInterfaces[0].url;
  assert.equal(urlOf(await strict.get("/.well-known/agent-card.json", forwarded)), strict.url);
  await using trusting = await startTestBridge({ flags: { "bridge-trusted-proxies": "127.0.0.0/8" } });
  assert.equal(
    urlOf(await trusting.get("/.well-known/agent-card.json", forwarded)),
    "https://agents.example",
  );
  await using named = await startTestBridge({ flags: { "bridge-public-url": "https://a.example/" } });
  assert.equal(urlOf(await named.get("/.well-known/agent-card.json", V1)), "https://a.example");
});
