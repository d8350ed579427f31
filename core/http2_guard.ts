/**
 * A guard for the native HTTP/2 session of Deno's `node:http2` (denoland/deno#36788).
 *
 * That session calls back into JavaScript while it parses or serializes. When the callback calls into the same session
 * again (a cancelled call does), the native side frees memory it is still using and the process may die: any peer that can
 * reach the port could cause it. The guard sits between both and puts every nested call off until the outer one is done.
 * On Node there is nothing to guard and all of this does nothing.
 */
import { Buffer } from "node:buffer";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { CodedError } from "./errors.ts";

type Http2Module = typeof http2;

/** The part of the native session handle that is not safe to enter twice. */
interface NativeSession {
  receive(bytes: Uint8Array): void;
  getOutgoingChunk(): Uint8Array;
  sendPending(): void;
  hasPendingData(): boolean;
  setLocalWindowSize(bytes: number): number;
  destroy(code?: number, socketDestroyed?: boolean): void;
}

const NOTHING = new Uint8Array(0);
/** Up to here what waits to be sent goes out in one piece: one write costs more than the copying. */
const JOINED_BYTES = 128 * 1024;
const PROOF_TIMEOUT_MS = 30_000;
const onDeno = "Deno" in globalThis;
const guarded = new WeakSet<object>();
let installed = false;
let proof: Promise<void> | undefined;

/** Makes every HTTP/2 session opened from now on a guarded one. Safe to call again; does nothing on Node. */
export function installHttp2Guard(): void {
  if (installed || !onDeno) return;
  installed = true;
  const module: Http2Module = http2;
  const { createServer, createSecureServer, connect } = module;
  const watch = <S extends http2.Http2Server | http2.Http2SecureServer>(server: S): S => {
    server.prependListener("session", (session: object) => void guardSession(session));
    return server;
  };
  // The overloads of the three functions do not survive wrapping, so they are replaced as plain functions.
  Object.assign(module, {
    createServer: (...args: Parameters<typeof createServer>) => watch(createServer(...args)),
    createSecureServer: (...args: Parameters<typeof createSecureServer>) =>
      watch(createSecureServer(...args)),
    connect: (...args: Parameters<typeof connect>) => {
      const session = connect(...args);
      // The handle exists at once for a socket that was handed in, else only after the connection is up.
      if (!guardSession(session)) session.prependOnceListener("connect", () => void guardSession(session));
      return session;
    },
  });
}

/**
 * Proves with one loopback call that both ends of an HTTP/2 connection come out guarded. Cheap after the first time.
 * Throws `failed_precondition` when they do not: serving strangers would then be unsafe.
 */
export function assertHttp2Guard(): Promise<void> {
  if (!onDeno) return Promise.resolve();
  return proof ??= proveGuard();
}

async function proveGuard(): Promise<void> {
  // The module as a CommonJS package sees it, which is how the gRPC library gets it.
  const module = process.getBuiltinModule("node:http2") as Http2Module;
  const sessions: object[] = [];
  const server = module.createServer((_request, response) => void response.writeHead(204).end());
  server.on("session", (session) => sessions.push(session));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const client = module.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  sessions.push(client);
  try {
    await new Promise<void>((resolve, reject) => {
      client.setTimeout(PROOF_TIMEOUT_MS, () => reject(new Error("no answer")));
      client.once("error", reject);
      client.request({ ":path": "/" }).once("error", reject).once("end", resolve).resume();
    });
    if (sessions.length === 2 && sessions.every(isGuarded)) return;
  } catch (cause) {
    throw new CodedError("failed_precondition", `Cannot check the HTTP/2 guard: ${String(cause)}`, { cause });
  } finally {
    await new Promise<void>((resolve) => client.close(resolve));
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  throw new CodedError(
    "failed_precondition",
    "Cannot serve HTTP/2 safely: the guard did not take hold in this runtime; use the Deno version this release names",
  );
}

function isGuarded(session: object): boolean {
  const handle = nativeSession(session);
  return handle !== undefined && guarded.has(handle);
}

/** Finds the native handle by its shape: it lives under a private symbol whose name is no interface. */
function nativeSession(session: object): NativeSession | undefined {
  for (const key of Object.getOwnPropertySymbols(session)) {
    const value: unknown = Reflect.get(session, key);
    if (value === null || typeof value !== "object") continue;
    const candidate = value as Partial<NativeSession>;
    if (typeof candidate.receive === "function" && typeof candidate.getOutgoingChunk === "function") {
      return value as NativeSession;
    }
  }
  return undefined;
}

/** Guards one session; false when it has no native handle (yet). */
function guardSession(session: object): boolean {
  const handle = nativeSession(session);
  if (handle === undefined) return false;
  if (!guarded.has(handle)) {
    guarded.add(handle);
    deferNestedCalls(handle);
  }
  return true;
}

/** The methods as they are, before they are replaced. */
function nativeMethods(handle: NativeSession): NativeSession {
  return {
    receive: handle.receive.bind(handle),
    getOutgoingChunk: handle.getOutgoingChunk.bind(handle),
    sendPending: handle.sendPending.bind(handle),
    hasPendingData: handle.hasPendingData.bind(handle),
    setLocalWindowSize: handle.setLocalWindowSize.bind(handle),
    destroy: handle.destroy.bind(handle),
  };
}

/** What waits to be sent, of which the session answers a frame at a time. */
function joinedChunk(native: NativeSession): Uint8Array {
  const frames: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < JOINED_BYTES) {
    const frame = native.getOutgoingChunk();
    if (frame.length === 0) break;
    frames.push(frame);
    bytes += frame.length;
  }
  const [first = NOTHING] = frames;
  return frames.length < 2 ? first : Buffer.concat(frames, bytes);
}

/** What is put off while the session works, in the order in which it is done afterwards. */
const DEFERRED = ["window", "send", "destroy"] as const;
type Deferred = typeof DEFERRED[number];

/** Replaces the methods of `handle`: while one runs, calls to the others are remembered and made afterwards. */
function deferNestedCalls(handle: NativeSession): void {
  const native = nativeMethods(handle);
  const inbox: Uint8Array[] = []; // bounded by what one socket read delivers while another is parsed
  const later = new Map<Deferred, () => void>();
  let busy = false;

  const exclusively = <T>(work: () => T): T => {
    busy = true;
    try {
      return work();
    } finally {
      busy = false;
    }
  };
  const sendLater = () => later.set("send", () => handle.sendPending());
  const catchUp = () => {
    for (const what of DEFERRED) {
      const work = busy ? undefined : later.get(what);
      if (work !== undefined && later.delete(what)) work();
    }
  };

  handle.receive = (bytes) => {
    inbox.push(bytes);
    while (!busy) {
      const next = inbox.shift();
      if (next === undefined) return;
      exclusively(() => native.receive(next));
      catchUp();
    }
  };
  handle.getOutgoingChunk = () => {
    if (!busy) return exclusively(() => joinedChunk(native));
    sendLater();
    return NOTHING;
  };
  handle.sendPending = () => {
    if (busy) return void sendLater();
    native.sendPending(); // drains through getOutgoingChunk above, which marks itself busy
    if (!busy) catchUp();
  };
  handle.hasPendingData = () => busy || native.hasPendingData();
  handle.setLocalWindowSize = (bytes) => {
    later.set("window", () => native.setLocalWindowSize(bytes));
    sendLater(); // the runtime by itself does not tell the other side
    if (!busy) catchUp();
    return 0;
  };
  handle.destroy = (...args) => {
    if (busy) later.set("destroy", () => native.destroy(...args));
    else native.destroy(...args);
  };
}
