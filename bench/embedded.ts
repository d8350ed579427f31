/**
 * How long a small task takes between two programs with their node inside, and what CPU it costs, beside other ways of doing it.
 * Everything runs on the loopback interface, in turns, so that a busy machine slows all of them alike.
 *
 * @module
 */
import { embeddedContenders } from "./contenders.ts";
import { ROUNDS, runRoundTrips } from "./round_trips.ts";

const USAGE = `Usage: deno task bench:embedded [options]

Measures round trips of a small task: p50 and p99 in milliseconds, tasks per second, and the CPU time per task of all
processes that take part (Linux only). Figures are medians over ${ROUNDS} rounds in which the contenders take turns.

Contenders:
  embedded  two programs with embedded nodes (two processes), everything on disk before it is acknowledged
  managed   two programs with a daemon each (four processes), everything on disk before it is acknowledged
  http-a2a  @a2a-js/sdk over plain HTTP (two processes): nothing encrypted, nothing on disk
  nats      request and reply through a NATS server (three processes): nothing encrypted, nothing on disk. Needs
            nats-server on the PATH (Debian: apt-get install nats-server); it is left out otherwise

Options:
  --only A,B         measure these contenders
  --in-flight A,B    round trips under way at once (default 1,16)
  --seconds N        seconds of measuring per contender and number in flight (default 5)
  --program PATH     daemons of this executable instead of the source
  --json             print JSON instead of a table
  --help             print this`;

await runRoundTrips({ usage: USAGE, contenders: embeddedContenders, inFlight: "1,16" });
