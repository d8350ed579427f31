import { silentLogger } from "../../core/log.ts";
import { resolveSettings } from "../../core/resolve_settings.ts";
import { RELAY_SETTINGS } from "../../core/settings/relay.ts";
import { type Relay, startRelay } from "../../relay/mod.ts";
import { tempDir } from "./temp_dir.ts";

/** A relay of this process in a temporary home, on loopback alone. */
export interface TestRelay extends AsyncDisposable {
  readonly relay: Relay;
  readonly home: string;
  /** Where peers dial it. */
  readonly address: string;
}

/** Starts one; `home` continues an earlier one. Its other servers are off unless `flags` say otherwise. */
export async function startTestRelay(
  options: { home?: string; flags?: Readonly<Record<string, string>> } = {},
): Promise<TestRelay> {
  await using stack = new AsyncDisposableStack();
  const home = options.home ?? stack.use(await tempDir()).path;
  const flags = {
    home,
    "listen": "/ip4/127.0.0.1/tcp/0",
    "registry-listen": "127.0.0.1:0",
    "mcp-listen": "off",
    "metrics-listen": "off",
    "api-listen": "off",
    ...options.flags,
  };
  const sources = { flags, env: {}, userHome: home, readFile: () => undefined };
  const { config } = resolveSettings(RELAY_SETTINGS, sources);
  const relay = stack.use(await startRelay(config, { logger: silentLogger }));
  const owned = stack.move();
  return {
    ...{ relay, home, address: relay.addresses()[0] ?? "" },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
