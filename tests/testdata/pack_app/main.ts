import process from "node:process";
import manifest from "./deno.json" with { type: "json" };

/** What a program does to learn who it is, whichever way it was made. */
const packed = !Deno.build.standalone;
const self = packed ? Deno.env.get("PACK_APP_SELF") : Deno.execPath();
const argv0 = packed ? Deno.env.get("PACK_APP_ARGV0") : process.argv0;

const verbs: Record<string, (...args: string[]) => unknown> = {
  version: () => console.log(`pack_app ${manifest.version}`),
  exit: (code) => Deno.exit(Number(code)),
  echo: () => Deno.stdin.readable.pipeTo(Deno.stdout.writable),
  wait: () => {
    const timer = setInterval(() => {}, 60_000);
    Deno.addSignalListener("SIGTERM", () => (clearInterval(timer), Deno.exit(7)));
    console.log(Deno.pid);
  },
  store: async () => {
    const path = await Deno.makeTempFile();
    try {
      using kv = await Deno.openKv(path);
      await kv.set(["key"], "value");
      console.log((await kv.get(["key"])).value, (await Deno.stat(path)).size > 0);
    } finally {
      for (const suffix of ["", "-shm", "-wal"]) await Deno.remove(path + suffix).catch(() => {});
    }
  },
  dlopen: () => Deno.dlopen("libc.so.6", {}),
};

async function report() {
  const { answer } = await import("./lazy.ts");
  const env = Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => /^(DENO|PACK_APP)_/.test(name)),
  );
  console.log(JSON.stringify({ version: manifest.version, args: Deno.args, self, argv0, answer, env }));
}

await (verbs[Deno.args[0] ?? ""] ?? report)(...Deno.args.slice(1));
