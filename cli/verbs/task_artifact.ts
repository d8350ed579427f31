import { CodedError } from "../../core/errors.ts";
import { type Artifact, isTerminal, type Task, type TaskHandle } from "../../sdk/mod.ts";
import { type Deadline, startDeadline } from "../deadline.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { toColumns, visible } from "../output.ts";
import { toSafeName } from "../saved_files.ts";
import { openSession } from "../session.ts";
import { saveStored } from "../stored_artifact.ts";
import type { VerbContext } from "../verb.ts";

export interface TaskArtifactOptions {
  readonly output?: string;
  readonly timeout: number;
}

interface Saved {
  readonly artifactId: string;
  readonly path: string;
  readonly bytes: number;
}

/** Lists the artifacts of a task, or saves one of them. */
export async function run(context: VerbContext<TaskArtifactOptions>): Promise<number> {
  const { args: [taskId = "", wanted], options, output, logger, signal } = context;
  await using session = await openSession(context.loadConfig(), { logger, signal });
  const handle = await session.node.getTaskHandle(taskId);
  if (wanted === undefined) {
    output.result(handle.artifacts, () => describe(handle.task));
    return EXIT_OK;
  }
  using deadline = startDeadline(options.timeout, signal);
  const saved = await save(handle, wanted, { output: options.output, deadline });
  deadline.throwIfExpired(`Artifact ${wanted} has not come whole within ${options.timeout / 1000} s`);
  output.result(saved, () => [`Saved ${visible(saved.path)}, ${saved.bytes} bytes.`]);
  return EXIT_OK;
}

function describe({ artifacts, status }: Task): string[] {
  if (artifacts.length === 0) {
    return [isTerminal(status) ? "No artifacts." : `No artifacts yet: the task is ${status}.`];
  }
  const rows = artifacts.map(({ artifactId = "", name = "", parts }) =>
    [artifactId, name, parts[0]?.mediaType ?? "", parts[0]?.metadata?.bytes ?? ""].map(visible)
  );
  return toColumns([["ARTIFACT", "NAME", "TYPE", "BYTES"], ...rows]);
}

async function save(
  handle: TaskHandle,
  wanted: string,
  { output, deadline }: { output: string | undefined; deadline: Deadline },
): Promise<Saved> {
  const stored = handle.artifacts.find(({ artifactId, name }) => artifactId === wanted || name === wanted);
  if (stored !== undefined) return await saveOne(stored, wanted, output);
  try {
    for await (const stream of handle.streams({ signal: deadline.signal })) {
      const { artifactId, name } = stream;
      if (artifactId !== wanted && name !== wanted) continue;
      const path = output ?? toSafeName(name || artifactId);
      await checkFree(path);
      return { artifactId, path, bytes: await stream.saveTo(path) };
    }
  } catch (error) {
    deadline.throwIfExpired(`Artifact ${wanted} has not come whole in time`);
    throw error;
  }
  throw new CodedError(
    "not_found",
    `Task ${handle.taskId} has no artifact ${wanted}: list them without a name`,
  );
}

async function saveOne(artifact: Artifact, wanted: string, output: string | undefined): Promise<Saved> {
  const path = output ?? toSafeName(artifact.parts[0]?.filename || artifact.name || wanted);
  await checkFree(path);
  return { artifactId: artifact.artifactId ?? "", path, bytes: await saveStored(artifact, path) };
}

async function checkFree(path: string): Promise<void> {
  const found = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (found === undefined) return;
  throw new CodedError("already_exists", `Cannot save ${path}: it is there already; name another with -o`);
}
