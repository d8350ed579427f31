import assert from "node:assert/strict";
import { findCard } from "../../../daemon/remote/card_lookup.ts";
import { createSafeFetch } from "../../../http/mod.ts";
import { startHttpScript } from "../../support/http_script.ts";

const never = new AbortController().signal;

async function find(url: string) {
  using safeFetch = createSafeFetch({ allow: ["127.0.0.1"] });
  return await findCard(new URL(url), { safeFetch }, { signal: never });
}

Deno.test("findCard() looks at the usual places below the URL, the newest first", async () => {
  const places = ["agent-card.json", "agent.json", "a2a-agent-card"].map((name) =>
    `/agents/x/.well-known/${name}`
  );
  for (const place of [...places, "/agents/x/agent/ad.json"]) {
    await using server = startHttpScript(({ path }) => path === place ? { name: place } : undefined);
    for (const url of [`${server.url}/agents/x`, `${server.url}/agents/x/`]) {
      assert.equal((await find(url))?.json.name, place);
    }
    assert.equal(server.seen[0]?.headers.get("a2a-version"), "1.0");
  }
});

Deno.test("findCard() takes a URL that names a document as that, and nothing else", async () => {
  await using server = startHttpScript(({ path }) => path === "/my/card.json" ? { name: "mine" } : undefined);
  assert.equal((await find(`${server.url}/my/card.json`))?.json.name, "mine");
  assert.equal(await find(`${server.url}/other.json`), undefined);
  assert.deepEqual(server.seen.map(({ path }) => path), ["/my/card.json", "/other.json"]);
});

Deno.test("findCard() takes the card of the host only when it names the URL", async () => {
  await using server = startHttpScript(({ path }, url) =>
    path === "/.well-known/agent-card.json"
      ? {
        name: "host",
        supportedInterfaces: [{ url: `${url}/a2a` }],
        additionalInterfaces: [{ url: "/rest/" }],
      }
      : undefined
  );
  assert.equal((await find(`${server.url}/a2a`))?.json.name, "host");
  assert.equal((await find(`${server.url}/rest`))?.json.name, "host");
  assert.equal(await find(`${server.url}/elsewhere`), undefined);
});

Deno.test("findCard() passes over pages for people, and tells what bars the way", async () => {
  await using pages = startHttpScript(() =>
    new Response("<html>", { headers: { "content-type": "text/html" } })
  );
  assert.equal(await find(pages.url), undefined);
  for (
    const [status, code] of [[401, "unauthenticated"], [403, "unauthenticated"], [
      500,
      "unavailable",
    ]] as const
  ) {
    await using server = startHttpScript(() => new Response("no", { status }));
    await assert.rejects(find(server.url), { code });
  }
});
