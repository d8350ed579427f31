import process from "node:process";
import { runCli, systemStreams, toProgramName } from "./cli/mod.ts";

const stop = new AbortController();
const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];
for (const name of names) {
  Deno.addSignalListener(name, () => {
    if (stop.signal.aborted) Deno.exit(130); // the second one does not wait
    stop.abort(new DOMException(`Ended by ${name}`, "AbortError"));
  });
}

// The self-unpacking executable tells by which name it was called; a compiled one has it as its own.
const calledAs = Deno.build.standalone ? process.argv0 : Deno.env.get("AGENTANYCAST_ARGV0");
Deno.env.delete("AGENTANYCAST_ARGV0"); // it names this process, not those it starts
const exitCode = await runCli(Deno.args, {
  name: toProgramName(calledAs ?? ""),
  streams: systemStreams(),
  colors: !Deno.env.get("NO_COLOR"),
  signal: stop.signal,
});
Deno.exit(exitCode);
