import { startTestBridge, type TestBridge } from "./test_bridge.ts";

/** Tests that share a bridge. */
export interface BridgeSteps<Tools> {
  step(name: string, work: (tools: Tools) => Promise<void>): void;
}

/** A test of several steps on one bridge. @param toTools what the steps are given. */
export function bridgeSteps<Tools>(
  name: string,
  toTools: (bridge: TestBridge) => Tools,
  options: Parameters<typeof startTestBridge>[0] = {},
): BridgeSteps<Tools> {
  const steps: { name: string; work: (tools: Tools) => Promise<void> }[] = [];
  Deno.test(name, async (t) => {
    await using bridge = await startTestBridge(options);
    const tools = toTools(bridge);
    for (const { name, work } of steps) await t.step(name, () => work(tools));
  });
  return { step: (name, work) => void steps.push({ name, work }) };
}
