// Imports modules one after the other, as asked on stdin, and answers on stdout what each has printed and how it ended.
import { TextLineStream } from "./text_line_stream.ts";

let printed: string[] = [];
const print = (...values: unknown[]) => {
  printed.push(values.map((one) => typeof one === "string" ? one : Deno.inspect(one)).join(" "));
};
Object.assign(console, { log: print, error: print, info: print });
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  print(`Unhandled: ${event.reason?.stack ?? event.reason}`);
});

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const file of lines) {
  printed = [];
  let error: string | undefined;
  try {
    await import(`file://${file}`);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
  }
  const answer = JSON.stringify({ printed: printed.join("\n").split("\n"), error });
  await Deno.stdout.write(new TextEncoder().encode(`${answer}\n`));
}
