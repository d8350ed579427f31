import { count, duration, flag, listenAddress, oneOf, optionalText } from "../setting.ts";

/** `[anp]`: this agent for clients of the Agent Network Protocol. */
export const ANP_SETTINGS = {
  enabled: flag(false, "serve ANP"),
  listen: listenAddress("127.0.0.1:8090", "host:port where ANP is served; a port alone is on loopback"),
  besideBridge: flag(false, "serve ANP on the address of the bridge too"),
  publicUrl: optionalText(
    "URL under which others reach it, such as https://agent.example; default as they call it",
  ),
  anonymous: oneOf(
    ["loopback", "always", "never"],
    "loopback",
    "who may give tasks without proving a DID: programs on this machine (nobody when there is a public URL), " +
      "everybody or nobody",
  ),
  answerTimeoutMs: duration(
    30_000,
    "how long a call waits for the end of its task before it is told its state",
  ),
  maxCalls: count(64, "calls that are answered at once; more are told to come back"),
};
