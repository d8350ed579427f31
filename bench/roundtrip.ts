/**
 * How long a small task takes to another agent and back, and what CPU it costs, beside other ways of doing it. Everything
 * runs on the loopback interface, in turns, so that a busy machine slows all of them alike.
 *
 * @module
 */
import { roundTripContenders } from "./contenders.ts";
import { ROUNDS, runRoundTrips } from "./round_trips.ts";

const USAGE = `Usage: deno task bench [options]

Measures round trips of a small task: p50 and p99 in milliseconds, tasks per second, and the CPU time per task of all
processes that take part (Linux only). Figures are medians over ${ROUNDS} rounds in which the contenders take turns.

Contenders:
  sdk         SDK to SDK through two daemons, everything on disk before it is acknowledged
  sdk-1.0     the same with enable_fast_lane = false: the framing of the existing network
  sdk-policy  sdk with 50 rules, limits and an audit log in both daemons
  sdk-sealed  sdk with every envelope sealed once more
  sdk-metrics sdk with metrics in both daemons
  sdk-traced  sdk with every task traced, over OTLP
  engine      two engines with store and network, without gRPC and SDK
  engine-1.0  the same with the framing of the existing network
  http-a2a    @a2a-js/sdk over plain HTTP: nothing encrypted, nothing on disk
  bridge      the client of @a2a-js/sdk through the bridge of a daemon to its agent, everything on disk
  bridge-remote  the same to an agent of another daemon, over libp2p
  nats        request and reply through a NATS server: nothing encrypted, nothing on disk. Needs nats-server on the
              PATH (Debian: apt-get install nats-server); it is left out otherwise
  tcp         bytes over TCP

Options:
  --only A,B         measure these contenders
  --in-flight A,B    round trips under way at once (default 1,16,64)
  --seconds N        seconds of measuring per contender and number in flight (default 5)
  --program PATH     measure this executable instead of the source
  --json             print JSON instead of a table
  --help             print this`;

await runRoundTrips({ usage: USAGE, contenders: roundTripContenders, inFlight: "1,16,64" });
