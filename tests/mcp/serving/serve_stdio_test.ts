import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { silentLogger } from "../../../core/log.ts";
import { createNetworkService, serveMcpStdio } from "../../../mcp/mod.ts";
import { Changes } from "../../support/patience.ts";
import { tempDir } from "../../support/temp_dir.ts";
import { AGENT, type FakeAgent, FakeNetwork } from "../fake_network.ts";

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};

interface Line {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: { structuredContent?: Record<string, unknown> };
  readonly error?: { message: string };
}

/** The network's service on streams in memory, spoken to line by line. */
class StdioRig implements AsyncDisposable {
  readonly network: FakeNetwork;
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  readonly stop = new AbortController();
  readonly #stack: AsyncDisposableStack;
  readonly #lines: Line[] = [];
  readonly #changes = new Changes();
  served: Promise<void> = Promise.resolve();

  private constructor(network: FakeNetwork, stack: AsyncDisposableStack) {
    this.network = network;
    this.#stack = stack;
  }

  static async start(agent: FakeAgent): Promise<StdioRig> {
    const stack = new AsyncDisposableStack();
    const folder = stack.use(await tempDir());
    const rig = new StdioRig(new FakeNetwork(agent), stack);
    const service = stack.use(createNetworkService({
      accessFor: () => rig.network,
      pinsPath: `${folder.path}/pins.json`,
      logger: silentLogger,
    }));
    let rest = "";
    rig.output.on("data", (chunk: Uint8Array) => {
      const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = lines.pop() ?? "";
      rig.#lines.push(...lines.map((line) => JSON.parse(line)));
      rig.#changes.tell();
    });
    rig.served = serveMcpStdio({ service, streams: rig, logger: silentLogger }, { signal: rig.stop.signal });
    return rig;
  }

  send(message: Record<string, unknown>): void {
    this.input.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  /** The next line that fits; each is found once. */
  async next(fits: (line: Line) => boolean): Promise<Line> {
    await this.#changes.until(() => this.#lines.some(fits), `a line: ${fits}`);
    return this.#lines.splice(this.#lines.findIndex(fits), 1)[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.served;
    await this.#stack.disposeAsync();
  }
}

Deno.test("serveMcpStdio() tells a listener of 2026-07-28 the changes of a task, until it has enough", async () => {
  await using rig = await StdioRig.start(() => {});
  const args = { target: AGENT, message: "Hi", wait: false };
  rig.send({ id: 1, method: "tools/call", params: { name: "send_task", arguments: args, _meta: META } });
  const sent = await rig.next(({ id }) => id === 1);
  const { task_id, resource_uri } = sent.result?.structuredContent as {
    task_id: string;
    resource_uri: string;
  };
  rig.send({
    id: 2,
    method: "subscriptions/listen",
    params: { notifications: { resourceSubscriptions: [resource_uri] }, _meta: META },
  });
  await rig.next(({ method }) => method === "notifications/subscriptions/acknowledged");
  rig.network.update(task_id, { status: "working" });
  const updated = await rig.next(({ method }) => method === "notifications/resources/updated");
  assert.equal(updated.params?.uri, resource_uri);
  assert.equal(rig.network.watching, 1);
  rig.send({ method: "notifications/cancelled", params: { requestId: 2 } });
  rig.send({ id: 3, method: "tools/list", params: { _meta: META } });
  await rig.next(({ id }) => id === 3);
  assert.equal(rig.network.watching, 0);
});

Deno.test("serveMcpStdio() cancels what a client that is gone was waiting for", async () => {
  const begun = Promise.withResolvers<void>();
  await using rig = await StdioRig.start(() => begun.resolve());
  rig.send({
    id: 1,
    method: "tools/call",
    params: { name: "send_task", arguments: { target: AGENT, message: "Slow" }, _meta: META },
  });
  await begun.promise;
  rig.input.end();
  await rig.served;
  const [taskId = ""] = rig.network.tasksById.keys();
  for await (const { status } of rig.network.watch(taskId, { signal: new AbortController().signal })) {
    if (status === "canceled") break;
  }
  assert.deepEqual(rig.network.cancelled, [taskId]);
});

Deno.test("serveMcpStdio() gives up a client whose message has no end", async () => {
  await using rig = await StdioRig.start(() => {});
  rig.input.write("x".repeat(17 * 1024 * 1024));
  await rig.served;
});
