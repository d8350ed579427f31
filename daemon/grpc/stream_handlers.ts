import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ArtifactStreams, StreamEvent } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import type {
  NodeService,
  SendStreamingArtifactRequest,
  SubscribeTaskStreamResponseSchema,
} from "../../gen/agentanycast/v1/node_service_pb.ts";
import {
  fromStreamChunk,
  fromStreamEnd,
  fromStreamStart,
  toStreamEnd,
  toStreamStart,
} from "../convert/stream.ts";
import type { RpcHandlers } from "../../rpc/rpc_service.ts";

type ResponseEvent = NonNullable<MessageInitShape<typeof SubscribeTaskStreamResponseSchema>["event"]>;

/** The RPCs of streamed artifacts. */
export function streamHandlers({ streams }: { streams: ArtifactStreams }) {
  return {
    sendStreamingArtifact: async (requests, { signal }) => {
      await streams.send(toEvents(requests), { signal });
      return {};
    },
    subscribeTaskStream: async function* ({ taskId, artifactId }, { signal }) {
      for await (const event of streams.subscribe(taskId, { signal, artifactId })) {
        yield { event: toResponseEvent(event) };
      }
    },
  } satisfies Partial<RpcHandlers<typeof NodeService>>;
}

async function* toEvents(requests: AsyncIterable<SendStreamingArtifactRequest>): AsyncGenerator<StreamEvent> {
  for await (const { event } of requests) {
    switch (event.case) {
      case "streamStart":
        yield fromStreamStart(event.value);
        break;
      case "streamChunk":
        yield fromStreamChunk(event.value);
        break;
      case "streamEnd":
        yield fromStreamEnd(event.value);
        break;
      case undefined:
        throw new CodedError(
          "invalid_argument",
          "A request of the stream has no event: send a start, a chunk or an end",
        );
      default:
        event satisfies never;
    }
  }
}

function toResponseEvent(event: StreamEvent): ResponseEvent {
  switch (event.kind) {
    case "start":
      return { case: "streamStart", value: toStreamStart(event) };
    case "chunk": {
      const { taskId, artifactId, sequence, data, isLast } = event;
      return { case: "streamChunk", value: { taskId, artifactId, sequence, data, isLast } };
    }
    case "end":
      return { case: "streamEnd", value: toStreamEnd(event) };
    default:
      return event satisfies never;
  }
}
