import { createLogger } from "../../core/log.ts";
import { processSources } from "../../core/config.ts";
import { resolveSettings } from "../../core/resolve_settings.ts";
import { RELAY_SETTINGS, type RelayConfig } from "../../core/settings/relay.ts";
import { type Relay, startRelay } from "../../relay/mod.ts";
import { tempDir } from "../support/temp_dir.ts";

/** A relay on loopback in this process, with a home of its own. */
export interface TestRelay extends AsyncDisposable {
  readonly relay: Relay;
  readonly config: RelayConfig;
  readonly lines: readonly string[];
  /** Its loopback address over TCP. */
  readonly address: string;
  /** `host:port` of its registry. */
  readonly registry: string;
  readonly api: string;
}

/** Starts one with `given` in place of the loopback defaults. */
export async function startTestRelay(given: Partial<RelayConfig> = {}): Promise<TestRelay> {
  await using stack = new AsyncDisposableStack();
  const home = given.home ?? stack.use(await tempDir()).path;
  const { config: defaults } = resolveSettings(RELAY_SETTINGS, {
    ...processSources({ home }),
    env: {},
    readFile: () => undefined,
  });
  const config: RelayConfig = {
    ...defaults,
    listenAddrs: ["/ip4/127.0.0.1/tcp/0"],
    registryListen: "127.0.0.1:0",
    mcpListen: "127.0.0.1:0",
    metricsListen: "127.0.0.1:0",
    apiListen: "127.0.0.1:0",
    registryStore: "memory",
    ...given,
  };
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", write: (line) => void lines.push(line) });
  const relay = stack.use(await startRelay(config, { logger }));
  const owned = stack.move();
  return {
    ...{ relay, config, lines },
    address: relay.addresses().find((address) => address.includes("/tcp/")) ?? "",
    registry: relay.registryAddress.replace("tcp://", ""),
    api: relay.urls.api?.url ?? "",
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
