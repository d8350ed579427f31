/** Calls `listener` whenever this process is sent SIGHUP, until it is disposed; on Windows there is no such signal. */
export function onHangup(listener: () => void): Disposable {
  if (Deno.build.os === "windows") return { [Symbol.dispose]() {} };
  Deno.addSignalListener("SIGHUP", listener);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGHUP", listener) };
}
