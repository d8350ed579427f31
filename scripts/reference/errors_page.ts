import { EXIT_CODE_OF } from "../../cli/mod.ts";
import { CodedError, ERROR_CODES, type ErrorCode } from "../../core/errors.ts";
import { GRPC_STATUS } from "../../core/rpc.ts";
import { httpStatusOf, jsonRpcCodeOf } from "../../daemon/mod.ts";

/** What each code tells, and what whoever meets it can do. */
const MEANINGS: Readonly<Record<ErrorCode, { meaning: string; advice: string }>> = {
  cancelled: {
    meaning: "somebody called it off: the caller, a signal, the sender of the task",
    advice: "nothing, when that was meant",
  },
  unknown: {
    meaning: "an error of another program that says no more",
    advice: "look into the log of the other side",
  },
  invalid_argument: {
    meaning: "what was given cannot be used, whatever the state",
    advice: "correct it: the message says what is wrong; the same call again fails again",
  },
  deadline_exceeded: {
    meaning: "it took longer than the time given; a task goes on",
    advice: "come back to the task (`task get`), or give it more time",
  },
  not_found: {
    meaning: "there is no such task, peer, skill, card or file",
    advice: "see that the name is right, and that the peer is reached (`peers`, `doctor`)",
  },
  already_exists: {
    meaning: "there is one of that name already",
    advice: "take another name, or use what is there",
  },
  permission_denied: {
    meaning: "the policy, the other side or the file system does not allow it; also a task that was rejected",
    advice: "`policy check` tells which rule it was; else ask the other side",
  },
  resource_exhausted: {
    meaning: "a limit is reached: rate, size, queue, connections, disk",
    advice: "come again later, send less, or raise the limit that the message names",
  },
  failed_precondition: {
    meaning: "the state does not allow it, such as a task that has ended, or a daemon that does not start",
    advice: "bring about the state that the message names, then call again",
  },
  aborted: {
    meaning: "something else came between, such as another process on the home; also a task that failed",
    advice: "the message says what; for a task it is the agent's reason",
  },
  out_of_range: {
    meaning:
      "what is asked for lies outside of what is there, such as changes of a task that are not kept any more",
    advice: "begin with what is there",
  },
  unimplemented: {
    meaning: "this version, or the other side, cannot do it",
    advice: "do without, or use a version that can",
  },
  internal: {
    meaning: "a fault of the program",
    advice: "its log has the cause; report it",
  },
  unavailable: {
    meaning: "nobody answers: no daemon, no network, a peer that is away",
    advice: "see that it runs (`status`, `doctor`), and call again",
  },
  data_loss: {
    meaning: "stored or received data is damaged",
    advice: "restore a backup, or fetch it again; nothing damaged is used",
  },
  unauthenticated: {
    meaning: "the caller has not proven who it is",
    advice: "give the credentials that are asked for",
  },
};

/** The page of the error codes. */
export function errorsPage(note: string): string {
  const rows = ERROR_CODES.map((code) => {
    const error = new CodedError(code, "");
    const { meaning, advice } = MEANINGS[code];
    const cells = [
      `\`${code}\``,
      meaning,
      String(GRPC_STATUS[code]),
      String(httpStatusOf(error)),
      String(jsonRpcCodeOf(error)),
      String(EXIT_CODE_OF[code]),
      advice,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return `${note}

# Error codes

Every error that a caller meets has one of these codes: \`code\` of an \`AgentAnycastError\`, \`error.code\` with
\`--json\`, and a number on each wire. Branch on the code, never on the text. The message says what could not be
done, a colon, the state found, and what to do.

| code | meaning | gRPC | HTTP | JSON-RPC | exit | what to do |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

Over JSON-RPC and HTTP an error that A2A defines (such as \`TASK_NOT_CANCELABLE\`) has the number that A2A gives it;
its reason is in the details. The exit codes of the program are listed with the [command line](cli.md#exit-codes).
`;
}
