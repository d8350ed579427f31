// Each class and each code of error that the package has is met by those who use it.
import assert from "node:assert/strict";
import { explainTarget } from "../../sdk/target_errors.ts";
import { join } from "node:path";
import { CodedError } from "../../core/errors.ts";
import { TaskStatus } from "../../gen/agentanycast/v1/a2a_models_pb.ts";
import { StreamEndReason } from "../../gen/agentanycast/v1/streaming_pb.ts";
import * as sdk from "../../sdk/mod.ts";
import { FakeDaemon } from "../support/fake_daemon.ts";
import { startReleaseSite } from "../support/release_site.ts";
import { tempDir } from "../support/temp_dir.ts";

const { Node, ERROR_CODES } = sdk;
const NOBODY = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

type Overrides = ConstructorParameters<typeof FakeDaemon>[0];
interface Net {
  readonly node: sdk.Node;
  readonly daemon: FakeDaemon;
}

/** What `work` throws, with a node at a daemon that is played. */
async function thrownWith(work: (net: Net) => Promise<unknown>, overrides: Overrides = {}): Promise<unknown> {
  await using daemon = await new FakeDaemon(overrides).start();
  await using node = new Node({ daemonAddr: daemon.address, reconnectMs: 50 });
  await node.start();
  return await thrownBy(work({ node, daemon }));
}

async function thrownBy(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("Nothing was thrown");
}

/** What waiting for a task throws whose agent leaves it in `status`. */
function ended(status: TaskStatus, more: Parameters<FakeDaemon["update"]>[1] = {}): Promise<unknown> {
  return thrownWith(async ({ node, daemon }) => {
    const handle = await node.sendTask("do it", { skill: "s", taskId: "t" });
    daemon.update("t", { status, ...more });
    await handle.wait();
  });
}

function refuse(code: sdk.ErrorCode): () => never {
  return () => {
    throw new CodedError(code, `no: ${code}`);
  };
}

/** What throws each class, and the code that it then has. */
const CLASSES: Record<string, [code: sdk.ErrorCode, thrown: () => Promise<unknown>]> = {
  AgentAnycastError: [
    "permission_denied",
    () => thrownWith(({ node }) => node.listPeers(), { listPeers: refuse("permission_denied") }),
  ],
  DaemonNotFoundError: ["not_found", async () => {
    await using dir = await tempDir();
    const node = new Node({ home: dir.path, daemonPath: join(dir.path, "nothing") });
    return await thrownBy(node.start());
  }],
  DaemonDownloadError: ["data_loss", async () => {
    await using dir = await tempDir();
    await using site = await startReleaseSite(new Uint8Array(100));
    const { downloadDaemon } = await import("../../sdk/release/download_daemon.ts");
    const { signal } = new AbortController();
    const publicKey = "A".repeat(43) + "="; // of somebody else
    return await thrownBy(downloadDaemon({ ...site.release, publicKey, folder: dir.path }, { signal }));
  }],
  DaemonStartError: ["failed_precondition", async () => {
    await using dir = await tempDir();
    const daemonPath = join(dir.path, "broken");
    await Deno.writeTextFile(daemonPath, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    return await thrownBy(new Node({ home: join(dir.path, "home"), daemonPath }).start());
  }],
  DaemonConnectionError: ["unavailable", async () => {
    await using daemon = await new FakeDaemon().start();
    const { address } = daemon;
    await daemon.stop();
    return await thrownBy(new Node({ daemonAddr: address, reconnectMs: 50 }).start());
  }],
  PeerNotFoundError: [
    "not_found",
    () => thrownWith(({ node }) => node.connectPeer(NOBODY), { connectPeer: refuse("unavailable") }),
  ],
  SkillNotFoundError: [
    "not_found",
    () => thrownWith(({ node }) => node.sendTask("x", { skill: "s" }), { sendTask: refuse("not_found") }),
  ],
  CardNotAvailableError: [
    "not_found",
    () => thrownWith(({ node }) => node.getCard(NOBODY), { getPeerCard: refuse("not_found") }),
  ],
  TaskNotFoundError: ["not_found", () => thrownWith(({ node }) => node.getTask("unheard of"))],
  TaskTimeoutError: [
    "deadline_exceeded",
    () => thrownWith(async ({ node }) => (await node.sendTask("x", { skill: "s" })).wait({ timeoutMs: 1 })),
  ],
  TaskFailedError: ["aborted", () => ended(TaskStatus.FAILED)],
  TaskCanceledError: ["cancelled", () => ended(TaskStatus.CANCELED)],
  TaskRejectedError: ["permission_denied", () => ended(TaskStatus.REJECTED)],
  TaskInputRequiredError: ["failed_precondition", () => ended(TaskStatus.INPUT_REQUIRED)],
  TaskStreamError: ["cancelled", () =>
    thrownWith(async ({ node, daemon }) => {
      const handle = await node.sendTask("x", { skill: "s", taskId: "t" });
      const artifactId = "a";
      daemon.stream("t", { case: "streamStart", value: { taskId: "t", artifactId } });
      daemon.stream("t", {
        case: "streamEnd",
        value: { taskId: "t", artifactId, reason: StreamEndReason.CANCELED, errorMessage: "called off" },
      });
      for await (const stream of handle.streams()) await stream.bytes();
    })],
};
/** Groups of others: nothing is just that. */
const GROUPS = ["DaemonError", "TaskError", "CodedError"];

for (const [name, [code, thrown]] of Object.entries(CLASSES)) {
  Deno.test(`${name} is thrown, with the code ${code}`, async () => {
    const error = await thrown();
    assert.equal((error as Error).constructor.name, name, Deno.inspect(error));
    assert.ok(error instanceof sdk.AgentAnycastError);
    assert.deepEqual([error.name, error.code], [name, code]);
  });
}

Deno.test("every class of error that the package has is thrown", () => {
  const exported = Object.keys(sdk).filter((name) => name.endsWith("Error"));
  assert.deepEqual([...Object.keys(CLASSES), ...GROUPS].sort(), exported.sort());
});

Deno.test("every code of error reaches whoever calls a node, with its words", async () => {
  for (const code of ERROR_CODES) {
    const error = await thrownWith(({ node }) => node.listPeers(), { listPeers: refuse(code) });
    assert.ok(error instanceof sdk.AgentAnycastError, code);
    assert.deepEqual([error.code, error.message], [code, `no: ${code}`]);
  }
});

Deno.test("toAgentAnycastError() and what explains a target say a text once", () => {
  const from = new CodedError("not_found", "Nobody offers it", { details: { skill: "s" } });
  const error = explainTarget(from, { skill: "s" });
  assert.deepEqual([error.name, error.message, error.details], [
    "SkillNotFoundError",
    "Nobody offers it",
    { skill: "s" },
  ]);
  assert.equal("cause" in error, false);
  const why = new Error("the socket broke");
  assert.equal(explainTarget(new CodedError("not_found", "x", { cause: why }), { skill: "s" }).cause, why);
});
