import assert from "node:assert/strict";
import type { PartContent } from "../../../a2a/mod.ts";
import { chooseMethod, parseMethods, toParams } from "../../../daemon/remote/anp/rpc_method.ts";

const methods = parseMethods({
  methods: [
    {
      name: "echo",
      params: [{ name: "input", required: true, schema: { type: "string" } }, { name: "task_id" }],
    },
    { name: "book", params: [{ name: "room", required: true, schema: {} }, { name: "nights", schema: {} }] },
    {
      name: "add",
      paramStructure: "by-position",
      params: [{ name: "a", required: true }, { name: "b", required: true }],
    },
    { name: "get_task", params: [] },
    { name: "" },
    "no method",
    { name: "bare" },
  ],
});
const method = (name: string) => chooseMethod(methods, name);
const message = (...contents: PartContent[]) => ({
  messageId: "m",
  role: "user" as const,
  parts: contents.map((content) => ({ content, mediaType: "", metadata: {} })),
  createdAtMs: 0,
});
const text = (words: string) => message({ kind: "text", text: words });
const first = { taskId: "" };

Deno.test("parseMethods() leaves out what is no method", () => {
  assert.deepEqual(methods.map(({ name }) => name), ["echo", "book", "add", "get_task", "bare"]);
});

Deno.test("chooseMethod() takes the skill that is named, or the only one", () => {
  assert.equal(method("book").name, "book");
  assert.throws(() => method("fly"), {
    code: "invalid_argument",
    message: /no skill fly: it has echo, book, add, bare/,
  });
  assert.throws(() => method(""), { code: "invalid_argument", message: /name one of its skills/ });
  assert.throws(() => method("get_task"), { code: "invalid_argument" });
  assert.equal(
    chooseMethod(methods.filter(({ name }) => name === "echo" || name === "get_task"), "").name,
    "echo",
  );
});

Deno.test("toParams() gives a method what it asks for", () => {
  assert.deepEqual(toParams(method("echo"), text("hello"), first), { input: "hello" });
  assert.deepEqual(toParams(method("echo"), text("again"), { taskId: "t" }), {
    input: "again",
    task_id: "t",
  });
  assert.deepEqual(toParams(method("echo"), text('{"a":1}'), first), { input: '{"a":1}' });
  assert.deepEqual(toParams(method("book"), text('{"room":7,"nights":2}'), first), { room: 7, nights: 2 });
  assert.deepEqual(toParams(method("book"), text('{"other":1}'), first), { room: { other: 1 } });
  assert.deepEqual(toParams(method("add"), message({ kind: "data", data: { a: 1, b: 2 } }), first), [1, 2]);
  assert.deepEqual(toParams(method("bare"), text("hello"), first), { input: "hello" });
  const file = message({ kind: "raw", data: new Uint8Array(), filename: "x" });
  assert.throws(() => toParams(method("echo"), file, first), {
    code: "invalid_argument",
    message: /no files/,
  });
});
