import assert from "node:assert/strict";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { silentLogger } from "../../../core/log.ts";
import { serveLane } from "../../../daemon/peer/lane_receiver.ts";
import { LaneSender } from "../../../daemon/peer/lane_sender.ts";
import { A2AEnvelopeSchema, EnvelopeType } from "../../../gen/agentanycast/v1/a2a_models_pb.ts";
import { encodeFrame } from "../../../p2p/frames.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { memoryChannels, settle } from "./memory_channel.ts";

const DOCUMENT = join(import.meta.dirname ?? ".", "../../../docs/protocol.md");

function cancel(envelopeId: string): Uint8Array {
  return toBinary(
    A2AEnvelopeSchema,
    create(A2AEnvelopeSchema, {
      envelopeId,
      type: EnvelopeType.TASK_CANCEL,
      payload: { case: "taskCancel", value: { taskId: "t1" } },
    }),
  );
}

Deno.test("docs/protocol.md shows the bytes of a lane as this program makes them", async () => {
  const [near, far] = memoryChannels();
  const lines: string[] = [];
  const show = (who: string, frame: Uint8Array | undefined) =>
    lines.push(`${who}  ${encodeFrame(frame ?? new Uint8Array()).toHex()}`);
  const served = serveLane(far, {
    receive: (bytes) =>
      Promise.resolve(
        bytes.length === 12 ? { outcome: "taken" } : { outcome: "busy", reason: "full" },
      ),
  });
  const { signal } = new AbortController();
  const clock = new FakeClock();
  const opener = LaneSender.open(near, { clock, logger: silentLogger });
  await settle();
  show("opener   → receiver", near.sent[0]);
  show("receiver → opener  ", far.sent[0]);
  await Promise.all([opener.send(cancel("e1"), { signal }), opener.send(cancel("e2+"), { signal })]);
  show("opener   → receiver", near.sent[1]);
  show("receiver → opener  ", far.sent[1]);
  await opener.close();
  await settle();
  await served.catch((error) => assert.equal(error.code, "unavailable"));
  const text = await Deno.readTextFile(DOCUMENT);
  const shown = /```lane\n([^`]*)```/.exec(text)?.[1] ?? "";
  assert.equal(shown.trimEnd(), lines.join("\n"));
});
