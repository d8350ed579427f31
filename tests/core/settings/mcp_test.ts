import assert from "node:assert/strict";
import { parseServerCommand } from "../../../core/settings/mcp.ts";

Deno.test("parseServerCommand() takes the words of a plain command and of an array", () => {
  assert.deepEqual(parseServerCommand("uvx  server --port 1"), ["uvx", "server", "--port", "1"]);
  assert.deepEqual(parseServerCommand('["node", "my server.js", "$HOME"]'), [
    "node",
    "my server.js",
    "$HOME",
  ]);
  assert.deepEqual(parseServerCommand(["node", "a b"]), ["node", "a b"]);
  assert.deepEqual(parseServerCommand([]), []);
});

Deno.test("parseServerCommand() refuses what a shell would read otherwise", () => {
  for (const command of ['node "my server.js"', "node $HOME/a.js", "a\\ b", "`id`"]) {
    assert.throws(() => parseServerCommand(command), /JSON array/);
  }
  assert.throws(() => parseServerCommand("[1]"), /array of texts/);
  assert.throws(() => parseServerCommand("[broken"), /JSON array of texts/);
  assert.throws(() => parseServerCommand([""]), /must name a command/);
});
