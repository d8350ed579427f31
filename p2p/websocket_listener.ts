import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { WebSocket } from "ws";

/** Longest message that is read: Noise seals 64 KiB at most at a time. `ws` would take 100 MiB of everybody. */
export const MAX_WEBSOCKET_MESSAGE_BYTES = 1024 * 1024;

/** The code with which libp2p resets a WebSocket. */
const RESET_CODE = 1006;

/**
 * Lets libp2p reset `socket`. It closes it with a code that nobody may send, which `ws` refuses: the connection would stay, and its
 * far end take it for one that works.
 */
export function letReset(socket: WebSocket): void {
  const { close } = socket;
  socket.close = (code?: number, data?: string) => {
    if (code === RESET_CODE) socket.terminate();
    else close.call(socket, code, data);
  };
}

/** The part of libp2p's listener for WebSockets that is bounded here. */
export interface WebSocketListener {
  readonly wsServer: { readonly options: { maxPayload?: number } };
  /** Takes a connection before anything has come on it. */
  onSocketConnection(socket: Socket): Promise<void>;
  /** Takes a connection that asks to become a WebSocket. */
  onUpgrade(request: IncomingMessage, socket: Socket, head: Uint8Array): void;
  onWsServerConnection(socket: WebSocket, request: IncomingMessage): void;
  close(): Promise<void>;
}

/** What connections may cost that are no WebSockets yet. */
export interface WebSocketListenerLimits {
  /** How many there may be; beyond that the oldest one is closed. Default 256. */
  maxWaiting?: number;
  /** How long one may take, in milliseconds. Default 10 s. */
  upgradeTimeoutMs?: number;
}

/**
 * Bounds what strangers can do to libp2p's listener, which bounds nothing: connections that say nothing are closed, also when the
 * listener is; messages are short; and a frame that is none ends its connection, not the program.
 */
export function boundWebSocketListener(
  listener: WebSocketListener,
  { maxWaiting = 256, upgradeTimeoutMs = 10_000 }: WebSocketListenerLimits = {},
): void {
  const waiting = new Map<Socket, ReturnType<typeof setTimeout>>();
  const settle = (socket: Socket) => {
    clearTimeout(waiting.get(socket));
    waiting.delete(socket);
  };
  const { onSocketConnection, onUpgrade, onWsServerConnection, close } = listener;
  listener.wsServer.options.maxPayload = MAX_WEBSOCKET_MESSAGE_BYTES;
  listener.onSocketConnection = async (socket) => {
    waiting.set(socket, setTimeout(() => socket.destroy(), upgradeTimeoutMs));
    socket.once("close", () => settle(socket));
    // One that breaks is closed as well.
    socket.on("error", () => {});
    const [oldest] = waiting.keys();
    if (waiting.size > maxWaiting) oldest?.destroy();
    await onSocketConnection.call(listener, socket);
  };
  listener.onUpgrade = (request, socket, head) => {
    settle(socket);
    onUpgrade.call(listener, request, socket, head);
  };
  listener.onWsServerConnection = (socket, request) => {
    // What is wrong is told by its end, too; without a listener an error would be nobody's, and end the program.
    socket.on("error", () => {});
    letReset(socket);
    onWsServerConnection.call(listener, socket, request);
  };
  listener.close = async () => {
    const closed = close.call(listener);
    for (const socket of waiting.keys()) socket.destroy();
    await closed;
  };
}
