/**
 * A switch between hosts of the laboratory that delays and drops Ethernet frames. It makes the ports itself (TAP devices) and
 * keeps them when they are moved to other network namespaces.
 *
 * Arguments: milliseconds that each frame takes, most milliseconds that chance adds, percent of frames that are lost.
 * Standard input: `port NAME` makes a port, `cut NAME` lets nothing in or out there, `join NAME` ends that. Each line is
 * answered with itself in the form `DONE=port NAME`.
 */
const O_RDWR = 2;
const O_NONBLOCK = 0x800;
const TUNSETIFF = 0x400454can;
const IFF_TAP = 2;
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;
const IFREQ_FLAGS_AT = 16;
const POLLIN = 1;
const POLLFD_BYTES = 8;
/** Longest frame: no offloads, an MTU of 1500. */
const MAX_FRAME_BYTES = 2048;
/** Frames under way; more are dropped, as in any switch. */
const MAX_QUEUED = 100_000;
/** How long a new port may wait until it is looked at. */
const POLL_MS = 20;

const [delayMs = 0, jitterMs = 0, lossPercent = 0] = Deno.args.map(Number);
const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
});

interface Port {
  readonly name: string;
  readonly fd: number;
  cut: boolean;
  /** Frames to it in the order in which they leave: nothing overtakes. */
  readonly queue: { dueMs: number; frame: Uint8Array<ArrayBuffer> }[];
}

const ports: Port[] = [];
/** Where a hardware address was last seen. */
const places = new Map<string, Port>();

function addPort(name: string): void {
  const fd = libc.symbols.open(new TextEncoder().encode("/dev/net/tun\0"), O_RDWR | O_NONBLOCK);
  if (fd < 0) throw new Error("/dev/net/tun cannot be opened");
  const request = new Uint8Array(IFREQ_BYTES);
  new TextEncoder().encodeInto(name, request);
  new DataView(request.buffer).setUint16(IFREQ_FLAGS_AT, IFF_TAP | IFF_NO_PI, true);
  if (libc.symbols.ioctl(fd, TUNSETIFF, request) < 0) throw new Error(`no TAP device ${name} can be made`);
  ports.push({ name, fd, cut: false, queue: [] });
}

/** Does what it is told until its owner is gone. */
async function obey(): Promise<void> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [verb, name = ""] = line.split(" ");
      if (verb === "port") addPort(name);
      else for (const port of ports) if (port.name === name) port.cut = verb === "cut";
      console.log(`DONE=${line}`);
    }
  }
  Deno.exit(0);
}

function macAt(frame: Uint8Array, offset: number): string {
  return frame.subarray(offset, offset + 6).join();
}

function take(from: Port, frame: Uint8Array<ArrayBuffer>, nowMs: number): void {
  places.set(macAt(frame, 6), from);
  const known = places.get(macAt(frame, 0));
  const toAll = ((frame[0] ?? 0) & 1) === 1 || known === undefined;
  for (const to of toAll ? ports : [known]) {
    if (to === from || to.cut || from.cut || Math.random() * 100 < lossPercent) continue;
    if (to.queue.length >= MAX_QUEUED) continue;
    const dueMs = nowMs + delayMs + Math.random() * jitterMs;
    to.queue.push({ dueMs: Math.max(dueMs, to.queue.at(-1)?.dueMs ?? 0), frame });
  }
}

/** Lets out what is due; answers when the next frame is. */
function release(port: Port, nowMs: number): number {
  let sent = 0;
  for (const { dueMs, frame } of port.queue) {
    if (dueMs > nowMs) break;
    libc.symbols.write(port.fd, frame, BigInt(frame.length));
    sent++;
  }
  if (sent > 0) port.queue.splice(0, sent);
  return port.queue[0]?.dueMs ?? Infinity;
}

async function run(): Promise<never> {
  const buffer = new Uint8Array(MAX_FRAME_BYTES);
  for (;;) {
    const nextMs = Math.min(...ports.map((port) => release(port, performance.now())));
    const looking = ports.slice();
    const polled = new DataView(new ArrayBuffer(POLLFD_BYTES * looking.length));
    looking.forEach(({ fd }, i) => {
      polled.setInt32(i * POLLFD_BYTES, fd, true);
      polled.setInt16(i * POLLFD_BYTES + 4, POLLIN, true);
    });
    const waitMs = Math.max(0, Math.min(POLL_MS, Math.ceil(nextMs - performance.now())));
    await libc.symbols.poll(new Uint8Array(polled.buffer), BigInt(looking.length), waitMs);
    const nowMs = performance.now();
    looking.forEach((port, i) => {
      if ((polled.getInt16(i * POLLFD_BYTES + 6, true) & POLLIN) === 0) return;
      for (;;) {
        const length = Number(libc.symbols.read(port.fd, buffer, BigInt(buffer.length)));
        if (length <= 0) return;
        take(port, buffer.slice(0, length), nowMs);
      }
    });
  }
}

void obey();
console.log("SERVES=switch");
await run();
