import assert from "node:assert/strict";
import { readOriginCredentials } from "../../core/origin_credentials.ts";
import { tempDir } from "../support/temp_dir.ts";

async function read(text: string, mode = 0o600) {
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.toml`;
  await Deno.writeTextFile(`${dir.path}/ca.pem`, "PEM");
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, mode);
  return await readOriginCredentials(path);
}

Deno.test("readOriginCredentials() reads tokens, passwords, headers and certificates by origin", async () => {
  const found = await read(`
    ["https://Agent.example"]
    bearer = "t0k"
    ["https://other.example:8443"]
    username = "ann"
    password = "pä"
    headers = { X-Api-Key = "k" }
    ca = "ca.pem"
  `);
  assert.deepEqual(Object.fromEntries(found), {
    "https://agent.example": { headers: { authorization: "Bearer t0k" } },
    "https://other.example:8443": {
      headers: { authorization: "Basic YW5uOnDDpA==", "x-api-key": "k" },
      tls: { ca: "PEM" },
    },
  });
});

Deno.test("readOriginCredentials() finds none when there is no file", async () => {
  assert.equal((await readOriginCredentials("/nowhere/credentials.toml")).size, 0);
});

Deno.test("readOriginCredentials() refuses a file that others may read", async () => {
  await assert.rejects(read("", 0o640), { code: "failed_precondition", message: /mode 0640.*chmod 600/ });
});

Deno.test("readOriginCredentials() names what is wrong, and never a secret", async () => {
  const bad: [string, RegExp][] = [
    ["secret", /:1:\d+: it is not TOML/],
    ['["https://a.example/path"]\nbearer="secret"', /must be an origin/],
    ['["https://a.example"]\ntoken="secret"', /unknown key "token": known are bearer/],
    ['["https://a.example"]\nbearer=""', /bearer must be a text/],
    ['["https://a.example"]\nbearer="secret"\nusername="a"\npassword="b"', /exclude each other/],
    ['["https://a.example"]\nusername="a"', /go together/],
    ['["https://a.example"]\nca="missing.pem"', /missing\.pem/],
    ['["https://a.example"]\nheaders={ "b d" = "secret" }', /https:\/\/a\.example/],
  ];
  for (const [text, message] of bad) {
    await assert.rejects(read(text), (error: Error & { code: string }) => {
      assert.equal(error.code, "invalid_argument");
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    }, text);
  }
});
