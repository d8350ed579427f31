import assert from "node:assert/strict";
import { join } from "node:path";
import { FederationService } from "../../gen/agentanycast/v1/federation_pb.ts";
import { createRpcClient } from "../../rpc/rpc_client.ts";
import { tempDir } from "../support/temp_dir.ts";
import { testCertificate } from "../support/test_certificate.ts";
import { PATIENCE_MS, untilHolds } from "../support/patience.ts";
import { startTestRelay } from "./test_relay.ts";

Deno.test("a relay with certificates speaks TLS alone, and relays share registrations over it", async () => {
  await using folder = await tempDir();
  const { cert, key } = testCertificate("127.0.0.1");
  const [tlsCert, tlsKey] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  await Deno.writeTextFile(tlsCert, cert);
  await Deno.writeTextFile(tlsKey, key);
  await using a = await startTestRelay({ tlsCert, tlsKey, apiListen: "", mcpListen: "", metricsListen: "" });
  const secure = `tls://${a.registry}`;
  const sync = async (address: string, ca?: string) => {
    using rpc = createRpcClient(address, { ca });
    const request = { relayId: "other" };
    return await rpc.unary(FederationService.method.syncRegistrations, request, { timeoutMs: PATIENCE_MS });
  };
  assert.equal((await sync(secure, cert)).relayId, a.relay.peerId);
  await assert.rejects(sync(secure), { code: "unavailable" }, "an authority that nobody trusts");
  await assert.rejects(sync(a.registry), { code: "unavailable" }, "without TLS");
  await using b = await startTestRelay({ federationPeers: [secure], federationCa: tlsCert });
  await untilHolds(async () => {
    const { peers } = await (await fetch(`${b.api}/api/v1/federation`)).json();
    return peers[0].healthy;
  });
  await assert.rejects(startTestRelay({ tlsCert }), { code: "invalid_argument", message: /both/ });
});
