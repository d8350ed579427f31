import assert from "node:assert/strict";
import { soak } from "../support/grpc_soak.ts";

Deno.test("startGrpcServer() survives clients that cancel, exceed limits and cut connections", async () => {
  const { calls, failures } = await soak(8);
  assert.deepEqual(failures, []);
  assert.ok(calls > 100, `only ${calls} calls were made`);
});
