import { type Message, type Part, Role, type Task, TaskState } from "@a2a-js/sdk";
import {
  AgentEvent,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from "@a2a-js/sdk/server";
import { within } from "./patience.ts";

/** An A2A agent that does what the text of a message says; see {@link SCRIPTS}. */
export interface ScriptedAgent extends AgentExecutor {
  /** How often a message was executed, by its text. */
  readonly executed: string[];
  /** Lets every task that waits go on. */
  release(): void;
  /** Resolves once a task waits. */
  waiting(): Promise<void>;
}

const SCRIPTS: Readonly<Record<string, (turn: Turn) => Promise<void> | void>> = {
  echo({ say, artifact, status, userMessage }) {
    status(TaskState.TASK_STATE_WORKING, say("on it"));
    artifact({ artifactId: "echo", name: "Echo", parts: userMessage.parts });
    status(TaskState.TASK_STATE_COMPLETED, say("done"));
  },
  message: ({ bus, say, contextId }) =>
    bus.publish(AgentEvent.message({ ...say("just so"), contextId, taskId: "" })),
  chunks({ artifact, status }) {
    for (const [index, text] of ["one ", "two ", "three"].entries()) {
      artifact({ artifactId: "poem", name: "Poem", parts: [textPart(text)] }, { append: index > 0 });
    }
    status(TaskState.TASK_STATE_COMPLETED);
  },
  ask({ say, status, task }) {
    if (task.history.length < 2) return status(TaskState.TASK_STATE_INPUT_REQUIRED, say("which one?"));
    status(TaskState.TASK_STATE_COMPLETED, say("thank you"));
  },
  auth: ({ status }) => status(TaskState.TASK_STATE_AUTH_REQUIRED),
  fail: ({ say, status }) => status(TaskState.TASK_STATE_FAILED, say("out of paper")),
  reject: ({ say, status }) => status(TaskState.TASK_STATE_REJECTED, say("not mine to do")),
  async wait({ say, status, held }) {
    status(TaskState.TASK_STATE_WORKING, say("waiting"));
    const isCanceled = await held();
    status(isCanceled ? TaskState.TASK_STATE_CANCELED : TaskState.TASK_STATE_COMPLETED, say("waited"));
  },
  throw() {
    throw new Error("the agent is broken");
  },
};

interface Turn extends Pick<RequestContext, "userMessage" | "taskId" | "contextId"> {
  readonly bus: ExecutionEventBus;
  readonly task: Task;
  say(text: string): Message;
  status(state: TaskState, message?: Message): void;
  artifact(
    artifact: { artifactId: string; name: string; parts: Part[] },
    options?: { append?: boolean },
  ): void;
  /** Waits for the test; answers whether the task was canceled. */
  held(): Promise<boolean>;
}

/** One. The first word of a message names its script; a task goes on with the script that it began with. */
export function createScriptedAgent(): ScriptedAgent {
  const executed: string[] = [];
  const holds = new Map<string, (isCanceled: boolean) => void>();
  let onWait = Promise.withResolvers<void>();
  return {
    executed,
    release() {
      for (const goOn of holds.values()) goOn(false);
      onWait = Promise.withResolvers();
    },
    waiting: () => within("a task that waits", onWait.promise),
    async execute({ userMessage, taskId, contextId, task: known }, bus) {
      const text = textOf(userMessage);
      executed.push(text);
      const task: Task = known ?? newTask(taskId, contextId, userMessage);
      const name = textOf(task.history[0] ?? userMessage).split(" ")[0] ?? "";
      const script = SCRIPTS[name] ?? SCRIPTS.echo;
      if (name !== "message") bus.publish(AgentEvent.task(task));
      await script?.({
        ...{ userMessage, taskId, contextId, bus, task },
        say: (words) => say(words, { taskId, contextId }),
        status: (state, message) =>
          bus.publish(AgentEvent.statusUpdate({
            taskId,
            contextId,
            status: { state, message, timestamp: new Date().toISOString() },
            metadata: undefined,
          })),
        artifact: (artifact, { append = false } = {}) =>
          bus.publish(AgentEvent.artifactUpdate({
            ...{ taskId, contextId, append, lastChunk: false, metadata: undefined },
            artifact: { ...artifact, description: "", metadata: undefined, extensions: [] },
          })),
        held: () =>
          new Promise((resolve) => {
            holds.set(taskId, (isCanceled) => {
              holds.delete(taskId);
              resolve(isCanceled);
            });
            onWait.resolve();
          }),
      });
      bus.finished();
    },
    cancelTask(taskId) {
      holds.get(taskId)?.(true);
      return Promise.resolve();
    },
  };
}

function newTask(id: string, contextId: string, message: Message): Task {
  return {
    id,
    contextId,
    status: {
      state: TaskState.TASK_STATE_SUBMITTED,
      message: undefined,
      timestamp: new Date().toISOString(),
    },
    artifacts: [],
    history: [message],
    metadata: undefined,
  };
}

function say(text: string, { taskId, contextId }: { taskId: string; contextId: string }): Message {
  return {
    messageId: crypto.randomUUID(),
    ...{ taskId, contextId },
    role: Role.ROLE_AGENT,
    parts: [textPart(text)],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

function textPart(text: string): Part {
  return {
    content: { $case: "text", value: text },
    metadata: undefined,
    filename: "",
    mediaType: "text/plain",
  };
}

function textOf(message: Message): string {
  return message.parts.flatMap(({ content }) => content?.$case === "text" ? content.value : []).join("");
}
