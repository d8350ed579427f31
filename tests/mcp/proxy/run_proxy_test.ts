import assert from "node:assert/strict";
import { join } from "node:path";
import { silentLogger } from "../../../core/log.ts";
import { runMcpProxy, toServerAddress } from "../../../mcp/mod.ts";
import {
  type AgentCard,
  Node,
  type Task,
  TaskFailedError,
  TaskInputRequiredError,
} from "../../../sdk/mod.ts";
import { Changes } from "../../support/patience.ts";
import { RunningFixture } from "../conformance/running_fixture.ts";
import { startTestPair } from "../../support/test_daemon.ts";

const SERVER = join(import.meta.dirname ?? ".", "tool_server.ts");

/** An MCP server as the agent of one daemon, and a node at another one that has tasks for it. */
async function startProxied() {
  await using stack = new AsyncDisposableStack();
  const { a, b } = stack.use(await startTestPair());
  const agent = stack.use(new Node({ daemonAddr: b.daemon.grpcAddress }));
  const sender = stack.use(new Node({ daemonAddr: a.daemon.grpcAddress }));
  await Promise.all([agent.start(), sender.start()]);
  const stop = new AbortController();
  const cards: AgentCard[] = [];
  const changes = new Changes();
  const running = runMcpProxy({
    address: toServerAddress([Deno.execPath(), "run", "-A", "--quiet", SERVER]),
    node: agent,
    logger: silentLogger,
    onCard: (card) => {
      cards.push(card);
      changes.tell();
    },
  }, { signal: stop.signal });
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  /** The card once it fits. */
  const cardWith = async (skill: string): Promise<AgentCard> => {
    const fits = () => cards.at(-1)?.skills.some(({ id }) => id === skill) ?? false;
    await Promise.race([changes.until(fits, `a card with ${skill}`), running]);
    return cards.at(-1)!;
  };
  await cardWith("echo");
  const send = (message: Parameters<Node["sendTask"]>[0], targetSkill?: string) =>
    sender.sendTask(message, { peerId: b.daemon.peerId, ...(targetSkill !== undefined && { targetSkill }) });
  const owned = stack.move();
  return { send, cardWith, cards, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function textsOf({ artifacts }: Task): (string | undefined)[] {
  return artifacts.flatMap(({ parts }) => parts.map(({ text }) => text));
}

// Closing a server, the library leaves a timer of two seconds that holds nothing.
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test("runMcpProxy() makes tools skills that other daemons can use", options, async (t) => {
  await using net = await startProxied();
  const waited = async (...args: Parameters<typeof net.send>) => await (await net.send(...args)).wait();

  await t.step("the card has the tools with their schemas and tags", async () => {
    const card = await net.cardWith("echo");
    assert.deepEqual([card.name, card.version, card.description], ["Toolbox", "2.3.4", "Tools for tests"]);
    const echo = card.skills.find(({ id }) => id === "echo");
    assert.deepEqual(echo?.tags, ["mcp", "read-only"]);
    assert.deepEqual(JSON.parse(echo?.inputSchema ?? "").required, ["message"]);
    assert.ok(card.skills.find(({ id }) => id === "add")?.outputSchema);
  });
  await t.step("data, JSON text and plain text become arguments", async () => {
    assert.deepEqual(textsOf(await waited([{ data: { message: "a" } }], "echo")), ["Echo: a"]);
    assert.deepEqual(textsOf(await waited('{"message":"b"}', "echo")), ["Echo: b"]);
    assert.deepEqual(textsOf(await waited("c", "echo")), ["Echo: c"]);
    assert.deepEqual(textsOf(await waited('{"tool":"echo","arguments":{"message":"d"}}')), ["Echo: d"]);
  });
  await t.step("structured answers come as data", async () => {
    const { artifacts } = await waited([{ data: { a: 1, b: 2 } }], "add");
    assert.deepEqual(artifacts[0]?.parts.map(({ text, data }) => text ?? data), ["3", { sum: 3 }]);
  });
  await t.step("every kind of content becomes a part", async () => {
    const { artifacts } = await waited("", "everything").catch(() => waited("{}", "everything"));
    assert.deepEqual(
      artifacts[0]?.parts.map(({ text, url, raw, mediaType }) => [text ?? url ?? raw?.toBase64(), mediaType]),
      [
        ["words", undefined],
        ["AQI=", "image/png"],
        ["AwQ=", "audio/wav"],
        ["https://example.com/a.txt", "text/plain"],
        ["inside", "text/plain"],
        ["BQY=", "application/x"],
      ],
    );
  });
  await t.step("a tool's error fails the task, an unknown skill is refused", async () => {
    await assert.rejects(
      waited("{}", "fail"),
      (error) => error instanceof TaskFailedError && /No paper/.test(error.message),
    );
    await assert.rejects(waited("{}", "nothing"), /nothing is not offered here: send to one of echo, add/);
  });
  await stepsOfTalking(t, net);
});

/** Tools that say something meanwhile, and servers that change. */
async function stepsOfTalking(
  t: Deno.TestContext,
  net: Awaited<ReturnType<typeof startProxied>>,
): Promise<void> {
  const waited = async (...args: Parameters<typeof net.send>) => await (await net.send(...args)).wait();
  await t.step("progress becomes updates", async () => {
    const said: string[] = [];
    for await (const { message } of (await net.send("{}", "slow")).events({ afterGeneration: 0 })) {
      said.push(...message?.parts.map(({ text = "" }) => text) ?? []);
    }
    assert.ok(said.includes("half done"), said.join());
  });
  await t.step("what the server asks its user is asked of the sender", async () => {
    const handle = await net.send("{}", "ask");
    await assert.rejects(
      handle.wait(),
      (error) => error instanceof TaskInputRequiredError && /colour/.test(error.message),
    );
    await handle.reply("blue");
    assert.deepEqual(textsOf(await handle.wait()), ["Painted blue"]);
  });
  await t.step("the card follows the list of tools", async () => {
    await waited("{}", "grow");
    await net.cardWith("grown");
    assert.deepEqual(textsOf(await waited("{}", "grown")), ["grown"]);
  });
  await t.step("a server that dies fails its call and is started again", async () => {
    const before = textsOf(await waited("{}", "where"));
    await assert.rejects(waited("{}", "crash"), TaskFailedError);
    const after = textsOf(await waited("{}", "where"));
    assert.notDeepEqual(after, before);
  });
}

Deno.test("runMcpProxy() throws when the server cannot be started", async () => {
  const node = { setCard: () => Promise.resolve(), onTask: () => () => {} };
  const run = (words: readonly string[]) =>
    runMcpProxy({ address: toServerAddress(words), node, logger: silentLogger }, {
      signal: new AbortController().signal,
    });
  await assert.rejects(
    run(["/no/such/program"]),
    /The MCP server \/no\/such\/program does not start: .*on the PATH/,
  );
});

Deno.test("runMcpProxy() takes servers over Streamable HTTP", options, async () => {
  await using fixture = await RunningFixture.start();
  await using stack = new AsyncDisposableStack();
  const { a, b } = stack.use(await startTestPair());
  const agent = stack.use(new Node({ daemonAddr: b.daemon.grpcAddress }));
  const sender = stack.use(new Node({ daemonAddr: a.daemon.grpcAddress }));
  await Promise.all([agent.start(), sender.start()]);
  const stop = new AbortController();
  const isUp = Promise.withResolvers<void>();
  const deps = {
    address: toServerAddress([fixture.url]),
    node: agent,
    logger: silentLogger,
    onCard: () => isUp.resolve(),
  };
  const running = runMcpProxy(deps, { signal: stop.signal });
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  await Promise.race([isUp.promise, running]);
  const handle = await sender.sendTask("{}", { peerId: b.daemon.peerId, targetSkill: "test_simple_text" });
  assert.deepEqual(textsOf(await handle.wait()), ["This is a simple text response for testing."]);
});

Deno.test("toServerAddress() takes words as they are", () => {
  assert.deepEqual(toServerAddress(["node", "my server.js", "$HOME"]), {
    kind: "command",
    command: "node",
    args: ["my server.js", "$HOME"],
  });
  assert.equal(toServerAddress(["https://mcp.example.com/mcp"]).kind, "url");
  const withHeader = toServerAddress(["https://mcp.example.com"], { headers: ["Authorization: Bearer x"] });
  assert.deepEqual(withHeader.kind === "url" && withHeader.headers, { Authorization: "Bearer x" });
  assert.throws(() => toServerAddress(["node"], { headers: ["a: b"] }), /Headers go to a URL/);
  assert.throws(() => toServerAddress(["https://mcp.example.com"], { headers: ["a"] }), /'name: value'/);
  assert.throws(() => toServerAddress(["https://mcp.example.com/mcp", "more"]), /name it alone/);
  assert.throws(() => toServerAddress([]), /Name the MCP server/);
});
