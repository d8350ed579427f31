/** Where figures come from, for JSON: two runs compare only on the same machine with as little else to do. */
export function describeMachine(): Record<string, unknown> {
  return {
    deno: Deno.version.deno,
    cpus: navigator.hardwareConcurrency,
    os: Deno.build.os,
    loadAverage: Deno.build.os === "windows" ? undefined : Deno.loadavg()[0],
  };
}
