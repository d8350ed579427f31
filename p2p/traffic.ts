import type { Stream } from "@libp2p/interface";

/** Bytes that passed. */
export interface Traffic {
  sentBytes: number;
  receivedBytes: number;
}

/** The inner parts of libp2p's streams, through which all bytes go. */
interface InnerStream {
  sendData?(data: { byteLength: number }): { sentBytes: number };
  onData?(data: { byteLength: number }): void;
}

/** Adds what passes on `stream` from now on to `traffic`. Listening instead would take the bytes from their reader. */
export function countBytes(stream: Stream, traffic: Traffic): void {
  const inner = stream as Stream & InnerStream;
  const { sendData, onData } = inner;
  if (sendData !== undefined) {
    inner.sendData = (data) => {
      const result = sendData.call(stream, data);
      traffic.sentBytes += result.sentBytes;
      return result;
    };
  }
  if (onData === undefined) return;
  inner.onData = (data) => {
    traffic.receivedBytes += data.byteLength;
    onData.call(stream, data);
  };
}
