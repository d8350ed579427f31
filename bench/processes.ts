/** Times in /proc are in these ticks, on every architecture that Linux runs Deno on. */
const MS_PER_TICK = 10;
const SAMPLE_MS = 100;

/** CPU time (user and system) that the processes have used since their start, together, in milliseconds; NaN off Linux. */
export async function cpuMs(pids: readonly number[]): Promise<number> {
  const stats = await Promise.all(
    pids.map((pid) => Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "")), // Linux only
  );
  return stats.reduce((totalMs, stat) => {
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th fields behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return totalMs + (Number(fields[11] ?? NaN) + Number(fields[12] ?? NaN)) * MS_PER_TICK;
  }, 0);
}

/** Resident memory of a process; NaN off Linux. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => ""); // Linux only
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) / 1024;
}

/** Resident memory of one process over a stretch of time. */
export interface Resident {
  readonly pid: number;
  readonly startMiB: number;
  readonly maxMiB: number;
}

/** Does `work` and looks at the memory of the processes meanwhile, ten times a second. */
export async function watchResident(
  pids: readonly number[],
  work: () => Promise<void>,
): Promise<readonly Resident[]> {
  const samples: number[][] = [await Promise.all(pids.map(residentMiB))];
  let sampling = Promise.resolve();
  const sample = async () => {
    samples.push(await Promise.all(pids.map(residentMiB)));
  };
  const timer = setInterval(() => sampling = sampling.then(sample), SAMPLE_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
    await sampling;
  }
  await sample();
  return pids.map((pid, index) => ({
    pid,
    startMiB: samples[0]?.[index] ?? NaN,
    maxMiB: Math.max(...samples.map((sample) => sample[index] ?? NaN)),
  }));
}
