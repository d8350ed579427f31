import { deepEqual, equal, rejects } from "node:assert/strict";
import { join } from "node:path";
import { createIdentity, CredentialFolder, issueCredential, statusAt } from "../../identity/mod.ts";
import { tempDir } from "../support/temp_dir.ts";

const issuer = createIdentity(new Uint8Array(32).fill(1));
const agent = createIdentity(new Uint8Array(32).fill(2));
const statusListUrl = "https://issuer.example/credentials/status/1";
const wanted = {
  subject: agent.didKey,
  type: "AgentCapabilityCredential",
  claims: { capabilities: ["a"] },
  validFromMs: 0,
};

function credential(type: string): string {
  return JSON.stringify(issueCredential({ ...wanted, type }, { identity: issuer }));
}

Deno.test("issue() keeps what it issued with an entry of its own, and revoke() sets its bit for good", async () => {
  await using home = await tempDir();
  const folder = new CredentialFolder(home.path);
  const documents = await Promise.all(
    [1, 2, 3].map((validFromMs) =>
      folder.issue({ ...wanted, validFromMs: 1000 * validFromMs }, { identity: issuer }, { statusListUrl })
    ),
  );
  const issued = await folder.issued();
  deepEqual(issued.map(({ claims }) => claims.id), documents.map(({ id }) => id));
  equal(new Set(issued.map(({ index }) => index)).size, 3);
  const [first, second] = issued;
  await folder.revoke(first!.claims.id, 5);
  await folder.revoke(first!.claims.id, 6);
  const again = new CredentialFolder(home.path);
  deepEqual((await again.issued()).map(({ revokedAtMs }) => revokedAtMs), [5, undefined, undefined]);
  const bits = await again.statusBits();
  deepEqual([statusAt(bits, first!.index), statusAt(bits, second!.index)], [true, false]);
  await rejects(folder.revoke("urn:uuid:other", 7), { code: "not_found" });
});

Deno.test("issue() writes files of this user alone", async () => {
  await using home = await tempDir();
  const folder = new CredentialFolder(home.path);
  await folder.issue(wanted, { identity: issuer }, { statusListUrl: undefined });
  const [{ index, claims }] = await folder.issued() as [Awaited<ReturnType<typeof folder.issued>>[0]];
  deepEqual(claims.status, []);
  const issued = join(home.path, "credentials", "issued");
  equal((await Deno.stat(join(issued, `${index}.json`))).mode! & 0o777, 0o600);
  equal((await Deno.stat(issued)).mode! & 0o777, 0o700);
});

Deno.test("issued() throws data_loss for a damaged file and says which", async () => {
  await using home = await tempDir();
  const folder = new CredentialFolder(home.path);
  await folder.issue(wanted, { identity: issuer }, { statusListUrl });
  const [one] = await folder.issued();
  await Deno.writeTextFile(join(home.path, "credentials", "issued", `${one!.index}.json`), "{");
  await rejects(folder.issued(), { code: "data_loss", message: new RegExp(`${one!.index}\\.json`) });
});

Deno.test("hold() keeps a credential once, drop() removes it by its id", async () => {
  await using home = await tempDir();
  const folder = new CredentialFolder(home.path);
  deepEqual(await folder.held(), []);
  const text = credential("A");
  const { id } = await folder.hold(text);
  await folder.hold(JSON.stringify(JSON.parse(text), null, 2));
  await folder.hold(credential("B"));
  equal((await folder.held()).length, 2);
  equal(await folder.drop(id), true);
  equal(await folder.drop(id), false);
  equal((await folder.held()).length, 1);
});

Deno.test("hold() refuses what is no credential, and more than sixteen", async () => {
  await using home = await tempDir();
  const folder = new CredentialFolder(home.path);
  await rejects(folder.hold("{}"), { code: "invalid_argument" });
  for (let i = 0; i < 16; i++) await folder.hold(credential(`T${i}`));
  await rejects(folder.hold(credential("more")), { code: "resource_exhausted" });
});

Deno.test("held() leaves out files that somebody else put there", async () => {
  await using home = await tempDir();
  const folder = new CredentialFolder(home.path);
  await folder.hold(credential("A"));
  const held = join(home.path, "credentials", "held");
  await Deno.writeTextFile(join(held, "notes.json"), "[]");
  await Deno.writeTextFile(join(held, "readme.txt"), "x");
  await Deno.writeTextFile(join(held, "big.json"), "x".repeat(70_000));
  equal((await folder.held()).length, 1);
});
