import { decode, encode } from "@dnsquery/dns-packet";
import { deepEqual, equal, rejects } from "node:assert/strict";
import { createResolveTxtOverHttps, createSafeFetch } from "../../http/mod.ts";

/** A DNS server over HTTP on loopback that answers with what `answer` makes of the name, and a resolver that asks it. */
function startServer(answer: (name: string) => Response | Parameters<typeof encode>[0]) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    equal(request.headers.get("content-type"), "application/dns-message");
    const query = decode(new Uint8Array(await request.arrayBuffer()));
    equal(query.questions?.[0]?.type, "TXT");
    const found = answer(query.questions?.[0]?.name ?? "");
    if (found instanceof Response) return found;
    const body = Uint8Array.from(encode({ type: "response", id: 0, questions: query.questions, ...found }));
    return new Response(body, { headers: { "content-type": "application/dns-message" } });
  });
  const fetch = createSafeFetch({ allow: ["127.0.0.1"] });
  const resolve = createResolveTxtOverHttps(`http://127.0.0.1:${server.addr.port}/dns-query`, fetch);
  return {
    resolve,
    async [Symbol.asyncDispose]() {
      fetch[Symbol.dispose]();
      await server.shutdown();
    },
  };
}

Deno.test("createResolveTxtOverHttps() joins the strings of each TXT record and leaves out the others", async () => {
  await using server = startServer((name) => ({
    answers: [
      { type: "CNAME", name, data: "other.example" },
      { type: "TXT", name: "other.example", data: ["did=did:key:", "z6Mk"] },
      { type: "TXT", name: "other.example", data: "v=spf1" },
    ],
  }));
  deepEqual(await server.resolve("_did.example.com"), ["did=did:key:z6Mk", "v=spf1"]);
});

Deno.test("createResolveTxtOverHttps() answers nothing for a name that is not there", async () => {
  await using server = startServer(() => ({ flags: 3 }));
  deepEqual(await server.resolve("_did.example.com"), []);
});

Deno.test("createResolveTxtOverHttps() throws unavailable for a failure, another type and what is no DNS", async () => {
  const answers = [
    { flags: 2 },
    new Response("<html>", { headers: { "content-type": "text/html" } }),
    new Response("no", { status: 500 }),
    new Response("xx", { headers: { "content-type": "application/dns-message" } }),
  ];
  for (const one of answers) {
    await using server = startServer(() => one);
    await rejects(server.resolve("_did.example.com"), { code: "unavailable" });
  }
});
