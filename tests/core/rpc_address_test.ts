import assert from "node:assert/strict";
import { formatRpcAddress, MAX_SOCKET_PATH_BYTES, parseRpcAddress } from "../../core/rpc_address.ts";

Deno.test("parseRpcAddress() reads each way to write an address", () => {
  const cases: [text: string, written: string][] = [
    ["unix:///a/b.sock", "unix:///a/b.sock"],
    ["unix:/a/b.sock", "unix:///a/b.sock"],
    ["/a/b.sock", "unix:///a/b.sock"],
    ["tcp://127.0.0.1:50051", "tcp://127.0.0.1:50051"],
    ["127.0.0.1:50051", "tcp://127.0.0.1:50051"],
    ["localhost:0", "tcp://localhost:0"],
    ["tcp://[::1]:1", "tcp://[::1]:1"],
  ];
  for (const [text, written] of cases) {
    const address = parseRpcAddress(text);
    assert.equal(formatRpcAddress(address), written);
    assert.deepEqual(parseRpcAddress(written), address);
  }
});

Deno.test("parseRpcAddress() counts the bytes of a path, not its letters", () => {
  assert.equal(parseRpcAddress("/" + "x".repeat(MAX_SOCKET_PATH_BYTES - 1)).kind, "unix");
  assert.throws(() => parseRpcAddress("/" + "ü".repeat(54)), {
    code: "invalid_argument",
    message: /109 bytes/,
  });
});

Deno.test("parseRpcAddress() refuses what is no address", () => {
  for (
    const text of [
      "",
      "a",
      "a/b",
      "tcp://a",
      "tcp://a:65536",
      "a:b",
      "::1:5",
      "http://a:1",
      "unix:a",
      "a:1/b",
    ]
  ) {
    assert.throws(() => parseRpcAddress(text), { code: "invalid_argument" }, text);
  }
});
