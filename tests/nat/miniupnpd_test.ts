// Ports opened at a router that runs miniupnpd, by UPnP and by NAT-PMP.
import assert from "node:assert/strict";
import { join } from "node:path";
import { type LabHost, labObstacle, startLab } from "./lab.ts";
import { miniupnpdObstacle } from "./miniupnpd.ts";

const PROGRAM = join(import.meta.dirname ?? ".", "port_mapping_program.ts");
const obstacle = await miniupnpdObstacle() ?? await labObstacle();
if (obstacle !== undefined) console.log(`note: port mapping at a real router is skipped: ${obstacle}`);

for (const protocol of ["upnp", "nat-pmp"] as const) {
  Deno.test({
    name: `miniupnpd opens a port over ${protocol}, renews it and closes it again`,
    ignore: obstacle !== undefined,
    fn: async () => {
      await using lab = await startLab();
      const host = await lab.addHost("miniupnpd");
      const stranger = await lab.addHost("open");
      await using program = startProgram(host, protocol);
      assert.match(await program.line(), /^FOUND=/);
      assert.equal(await program.step("address"), host.outside);
      assert.equal(await greeting(stranger, host), "");
      assert.deepEqual(await program.step("map 3600"), { externalPort: 4001, lifetimeS: 3600 });
      assert.equal(await greeting(stranger, host), "hello");
      assert.deepEqual(await program.step("map 1200"), { externalPort: 4001, lifetimeS: 1200 });
      assert.equal(await greeting(stranger, host), "hello");
      assert.equal(await program.step("unmap"), null);
      assert.equal(await greeting(stranger, host), "");
      assert.equal(await program.step("unmap"), null, "a port that is closed already is no error");
    },
  });
}

/** What comes when `from` connects to the mapped port; nothing when it is not open. */
async function greeting(from: LabHost, { outside }: LabHost): Promise<string> {
  const script = `
    const signal = AbortSignal.timeout(1_000);
    try {
      const connection = await Deno.connect({ hostname: "${outside}", port: 4001, signal });
      await connection.readable.pipeTo(Deno.stdout.writable);
    } catch {
      // Nobody answers.
    }
    Deno.exit(0);`;
  const [file = "", ...args] = from.command([Deno.execPath(), "eval", "--no-check", script]);
  const { stdout } = await new Deno.Command(file, { args, stdin: "null" }).output();
  return new TextDecoder().decode(stdout);
}

function startProgram(host: LabHost, protocol: string) {
  const [file = "", ...args] = host.command([Deno.execPath(), "run", "-A", PROGRAM, protocol]);
  const child = new Deno.Command(file, { args, stdin: "piped", stdout: "piped" }).spawn();
  const input = child.stdin.getWriter();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const line = async () => (await output.read()).value?.trim() ?? "";
  return {
    line,
    async step(text: string): Promise<unknown> {
      await input.write(new TextEncoder().encode(`${text}\n`));
      return JSON.parse((await line()).replace(/^DONE=/, ""));
    },
    async [Symbol.asyncDispose]() {
      await input.close();
      await child.status;
      await output.cancel();
    },
  };
}
