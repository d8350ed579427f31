import { Option } from "commander";
import { collect, collectPair, parseTime } from "../arguments.ts";
import type { Verb } from "../verb.ts";

const CREDENTIAL_FILE = ["<file>", "JSON file of the credential; - reads stdin"] as const;
const STOPPED = "The daemon has to be stopped.";

const IDENTITY_VERBS: readonly Verb[] = [
  {
    path: "identity show",
    summary: "print who this node is: peer id, DIDs, public key",
    configure: (command) => void command.option("--document", "print the document of its did:key"),
    examples: ["identity show", "identity show --json", "identity show --document"],
    json: true,
    load: () => import("../verbs/identity_show.ts"),
  },
  {
    path: "identity export",
    summary: "write the private key of this node to a new file, as a backup",
    arguments: [["<file>", "file to write; nothing is overwritten"]],
    configure: (command) => {
      const format = new Option("--format <format>", "as the key file has it, or PKCS #8");
      command.addOption(format.choices(["libp2p", "pem"]).default("libp2p"));
    },
    examples: ["identity export ./backup.key", "identity export ./agent.pem --format pem"],
    json: true,
    load: () => import("../verbs/identity_export.ts"),
  },
  {
    path: "identity import",
    summary: "make the key in a file that of this node",
    arguments: [["<file>", "an exported key, a key file, or an Ed25519 key in PEM"]],
    configure: (command) => void command.option("--replace", "even if it has one, which is kept beside"),
    notes: STOPPED,
    examples: ["identity import ./backup.key", "identity import ./agent.pem --replace"],
    json: true,
    load: () => import("../verbs/identity_import.ts"),
  },
  {
    path: "identity rotate",
    summary: "give this node a new key, and a proof by the old one that it is still the same",
    notes: `${STOPPED} The peer id changes with the key.`,
    examples: ["identity rotate"],
    json: true,
    load: () => import("../verbs/identity_rotate.ts"),
  },
];

const CREDENTIAL_VERBS: readonly Verb[] = [
  {
    path: "credential issue",
    summary: "issue a verifiable credential about somebody",
    arguments: [["<subject>", "peer id or DID of whom it is about"]],
    configure: (command) => {
      command
        .option("--type <type>", "what kind of credential", "AgentCapabilityCredential")
        .option("--capability <name>", "what the subject can do (repeatable)", collect)
        .option("--claim <key=value>", "what else is said about it (repeatable)", collectPair)
        .option("--expires <time>", "how long it is valid, such as 90d", parseTime)
        .option("-o, --output <file>", "file to write it to (default: stdout)");
    },
    notes: "It can be revoked when identity.status_list_url is set and the bridge serves that URL.",
    examples: [
      "credential issue 12D3KooW… --capability translate --expires 90d -o translate.json",
      "credential issue did:web:partner.example --type PartnerCredential --claim tier=gold",
    ],
    json: true,
    load: () => import("../verbs/credential_issue.ts"),
  },
  {
    path: "credential verify",
    summary: "tell whether a credential is valid: signature, dates, status and subject",
    arguments: [CREDENTIAL_FILE],
    configure: (command) =>
      void command.option("--subject <did>", "whom it has to be about: DID or peer id (repeatable)", collect),
    notes: "Exits with 0 when it is valid, else with 1.",
    examples: [
      "credential verify translate.json",
      "credential verify - --subject 12D3KooW… < translate.json",
    ],
    json: true,
    load: () => import("../verbs/credential_verify.ts"),
  },
  {
    path: "credential revoke",
    summary: "revoke a credential that this node has issued, for good",
    arguments: [["<id>", "id of the credential, urn:uuid:…"]],
    examples: ["credential revoke urn:uuid:6b0c7a52-…"],
    json: true,
    load: () => import("../verbs/credential_revoke.ts"),
  },
  {
    path: "credential list",
    summary: "list the credentials about this agent, and those that this node has issued",
    configure: (command) => void command.option("--check", "verify those that it holds"),
    examples: ["credential list", "credential list --check --json"],
    json: true,
    load: () => import("../verbs/credential_list.ts"),
  },
  {
    path: "credential add",
    summary: "keep a credential about this agent; it goes out with the card",
    arguments: [CREDENTIAL_FILE],
    examples: ["credential add translate.json"],
    json: true,
    load: () => import("../verbs/credential_add.ts"),
  },
  {
    path: "credential remove",
    summary: "remove a credential about this agent from the card",
    arguments: [["<id>", "id of the credential, urn:uuid:…"]],
    examples: ["credential remove urn:uuid:6b0c7a52-…"],
    json: true,
    load: () => import("../verbs/credential_remove.ts"),
  },
];

const POLICY_VERBS: readonly Verb[] = [
  {
    path: "policy check",
    summary: "explain what the policy says to a task, without sending one",
    configure: (command) => {
      command
        .option("--from <who>", "who sends: peer id, DID, or a caller such as http:alice")
        .option("--to <whom>", "whom it goes to: peer id, DID or URL; then it is about what this node sends")
        .option("--skill <name>", "the skill that is asked for")
        .option("--did <did>", "a DID that is taken to be proven of the other side (repeatable)", collect)
        .option("--credential <file>", "a credential of the other side (repeatable)", collect);
    },
    notes:
      "Exits with 0 when it is allowed, with 6 when it is denied. A running daemon adds what it has proven of a peer.",
    examples: [
      "policy check --from 12D3KooW… --skill translate",
      "policy check --from http:alice",
      "policy check --to https://partner.example/a2a --json",
    ],
    json: true,
    load: () => import("../verbs/policy_check.ts"),
  },
  {
    path: "policy reload",
    summary: "make the running daemon read its policy again, as SIGHUP does",
    examples: ["policy reload"],
    json: true,
    load: () => import("../verbs/policy_reload.ts"),
  },
];

/** Who this node is, what is proven of whom, and who may do what. */
export const TRUST_VERBS: readonly Verb[] = [...IDENTITY_VERBS, ...CREDENTIAL_VERBS, ...POLICY_VERBS];
