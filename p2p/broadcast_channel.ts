/** The channel on which libp2p's lock library offers its locks to worker threads. */
const LOCK_CHANNEL = "mortice";

class SilentChannel extends EventTarget {
  constructor(readonly name: string) {
    super();
  }
  postMessage(): void {}
  close(): void {}
}

let installed = false;

/**
 * Gives libp2p's lock library a silent channel in place of a real one, which would keep the process alive for good:
 * Deno's `BroadcastChannel` cannot be unreferenced. No worker thread shares our locks, and every other name still gets
 * a real channel.
 */
export function silenceLockChannel(): void {
  if (installed) return;
  installed = true;
  globalThis.BroadcastChannel = new Proxy(globalThis.BroadcastChannel, {
    construct: (target, args, newTarget) =>
      args[0] === LOCK_CHANNEL ? new SilentChannel(LOCK_CHANNEL) : Reflect.construct(target, args, newTarget),
  });
}
