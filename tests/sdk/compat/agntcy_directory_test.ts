import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import {
  AgntcyDirectory,
  type AgntcyDirectoryOptions,
  toA2aCard,
  toOasfRecord,
} from "../../../sdk/compat/mod.ts";
import { CARD } from "./samples.ts";

type Answer = (url: URL, signal: AbortSignal) => Response | Promise<Response>;

/** A directory that answers as told, and what it was asked. */
function directoryOf(answer: Answer, options: AgntcyDirectoryOptions = {}) {
  const asked: { path: string; params: Record<string, string>; headers: Headers }[] = [];
  const fetched: typeof fetch = async (input, init) => {
    const url = new URL(String(input));
    asked.push({
      path: url.pathname,
      params: Object.fromEntries(url.searchParams),
      headers: new Headers(init?.headers),
    });
    return await answer(url, init!.signal!);
  };
  return {
    asked,
    directory: new AgntcyDirectory("https://dir.example/base/", { fetch: fetched, ...options }),
  };
}

function entryOf(cid: string, card: object = toA2aCard(CARD)) {
  return {
    identifier: `urn:ai:org.agntcy:cid:${cid}`,
    displayName: `Agent ${cid}`,
    mediaType: "application/a2a-agent-card+json",
    data: { card_data: card },
  };
}

/** As a server that has `total` agents does. */
function paged(total: number): Answer {
  return (url) => {
    const from = Number(url.searchParams.get("pageToken") ?? 0);
    const to = Math.min(from + Number(url.searchParams.get("pageSize")), total);
    const results = Array.from({ length: to - from }, (_, i) => entryOf(`bafy${from + i}`));
    return Response.json({ results, nextPageToken: to < total ? String(to) : "", totalCount: total });
  };
}

Deno.test("list() goes from page to page as far as it is taken, and no further than its limit", async () => {
  const { asked, directory } = directoryOf(paged(250));
  const agents = [];
  for await (const agent of directory.list({ limit: 120, filter: "type=x", orderBy: "updated_at DESC" })) {
    agents.push(agent);
  }
  strictEqual(agents.length, 120);
  deepStrictEqual([agents[0]?.id, agents[119]?.id], ["bafy0", "bafy119"]);
  deepStrictEqual(agents[0]?.card, CARD);
  deepStrictEqual(asked.map(({ path, params }) => [path, params]), [
    ["/base/v1/agents", { filter: "type=x", orderBy: "updated_at DESC", pageSize: "100" }],
    ["/base/v1/agents", { filter: "type=x", orderBy: "updated_at DESC", pageSize: "20", pageToken: "100" }],
  ]);
  const once = directoryOf(paged(250));
  for await (const _ of once.directory.list({ limit: 250 })) break;
  strictEqual(once.asked.length, 1);
});

Deno.test("search() and get() speak the dialect v1", async () => {
  const { asked, directory } = directoryOf(paged(3), { headers: { authorization: "Bearer x" } });
  strictEqual((await directory.search('a "b"', { filter: "type=x" })).length, 3);
  deepStrictEqual(asked[0]?.params.filter, 'type=x AND displayName="a \\"b\\""');
  strictEqual(asked[0]?.headers.get("authorization"), "Bearer x");
  const one = directoryOf(() => Response.json(entryOf("bafy9")));
  deepStrictEqual((await one.directory.get("bafy9"))?.card, CARD);
  strictEqual(one.asked[0]?.path, "/base/v1/agents/bafy9");
});

Deno.test("search() asks a real server over HTTP, unless told by what else", async () => {
  const answer = paged(101);
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    return answer(new URL(request.url), new AbortController().signal);
  });
  const { hostname, port } = server.addr;
  const agents = await new AgntcyDirectory(`http://${hostname}:${port}`).search("", { limit: 1000 });
  strictEqual(agents.length, 101);
  deepStrictEqual(agents[100]?.card, CARD);
});

Deno.test("record() reads the record of OASF of an agent", async () => {
  const record = toOasfRecord(CARD, { createdAt: new Date(0) });
  const { asked, directory } = directoryOf(() => Response.json(record));
  deepStrictEqual(await directory.record("bafy1"), record);
  strictEqual(asked[0]?.path, "/base/v1/agents/bafy1/export");
  await rejects(directoryOf(() => Response.json({}), { dialect: "legacy" }).directory.record("x"), {
    code: "unimplemented",
  });
});

Deno.test("search() and get() speak the dialect of the older SDKs", async () => {
  const agent = {
    id: "agent/1",
    name: "Old",
    description: "d",
    peer_id: "12D3KooWx",
    capabilities: [{ name: "sum", description: "adds" }],
  };
  const { asked, directory } = directoryOf(
    (url) => Response.json(url.pathname.endsWith("search") ? { agents: [agent] } : agent),
    { dialect: "legacy" },
  );
  const card = {
    name: "Old",
    description: "d",
    peerId: "12D3KooWx",
    skills: [{ id: "sum", description: "adds" }],
  };
  deepStrictEqual(await directory.search("old", { limit: 5 }), [{ id: "agent/1", name: "Old", card }]);
  deepStrictEqual(asked[0], {
    ...asked[0]!,
    path: "/base/api/v1/agents/search",
    params: { q: "old", limit: "5" },
  });
  deepStrictEqual((await directory.get("agent/1"))?.card, card);
  strictEqual(asked[1]?.path, "/base/api/v1/agents/agent%2F1");
});

Deno.test("get() answers undefined for who is not there, and throws what each other status means", async () => {
  const answering = (status: number) => directoryOf(() => new Response("no", { status })).directory.get("x");
  strictEqual(await answering(404), undefined);
  const codes = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    429: "resource_exhausted",
  };
  for (
    const [status, code] of Object.entries({
      ...codes,
      500: "unavailable",
      503: "unavailable",
      418: "unknown",
    })
  ) {
    await rejects(answering(Number(status)), { name: "AgentAnycastError", code, details: { status } });
  }
  for (const id of ["", ".", ".."]) {
    await rejects(directoryOf(() => Response.json({})).directory.get(id), { code: "invalid_argument" });
  }
});

Deno.test("search() ends in time, when called off, and when the directory cannot be reached", async () => {
  const never: Answer = (_url, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const slow = directoryOf(never, { timeoutMs: 5 });
  await rejects(slow.directory.search("x"), { code: "deadline_exceeded", message: /within 5 ms/ });
  const ending = new AbortController();
  const calledOff = directoryOf(never).directory.search("x", { signal: ending.signal });
  ending.abort();
  await rejects(calledOff, { code: "cancelled" });
  const gone = directoryOf(() => Promise.reject(new TypeError("connection refused")));
  await rejects(gone.directory.search("x"), { code: "unavailable" });
});

Deno.test("search() reads no more than maxBytes, and says when it does not understand", async () => {
  let pulled = 0;
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          pulled++;
          controller.enqueue(new Uint8Array(1024));
        },
      }),
    );
  await rejects(directoryOf(endless, { maxBytes: 10_000 }).directory.search("x"), {
    code: "resource_exhausted",
  });
  strictEqual(pulled < 20, true);
  for (const body of ["<html>", "[]", '{"results":7}', '{"results":[{"identifier":"x"}]}']) {
    await rejects(directoryOf(() => new Response(body)).directory.search("x"), { code: "data_loss" });
  }
  const standing = directoryOf(() => Response.json({ results: [], nextPageToken: "again" }));
  await rejects(standing.directory.search("x"), { code: "data_loss", message: /do not go on/ });
});

Deno.test("search() tells which card it could not read, beside those that it could", async () => {
  const results = [entryOf("bad", { name: 7 }), entryOf("good")];
  const [bad, good] = await directoryOf(() => Response.json({ results })).directory.search("");
  deepStrictEqual([bad?.id, bad?.card, bad?.cardFault?.code], ["bad", undefined, "invalid_argument"]);
  deepStrictEqual(good?.card, CARD);
});

Deno.test("AgntcyDirectory refuses what is no address and what is no bound", async () => {
  for (const url of ["", "directory", "ftp://x.example"]) throws(() => new AgntcyDirectory(url), TypeError);
  throws(() => new AgntcyDirectory("https://x.example", { timeoutMs: 0 }), RangeError);
  throws(() => new AgntcyDirectory("https://x.example", { maxBytes: -1 }), RangeError);
  await rejects(directoryOf(paged(1)).directory.search("", { limit: 0 }), RangeError);
});
