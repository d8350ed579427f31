import { basename, join } from "node:path";
import { CodedError } from "../../core/errors.ts";
import type { Program } from "./bundle.ts";
import { reasonOf, run } from "./process.ts";
import type { Target } from "./targets.ts";

/** The names that the manifest has for systems. */
const PLATFORMS: Readonly<Record<string, string>> = { linux: "linux", macos: "darwin", windows: "win32" };
const MANIFEST_VERSION = "0.3";
/** The official tool, in the version of the lock file. */
const TOOL = "npm:@anthropic-ai/mcpb@2.1.2";

/**
 * Packs an executable as a one-click bundle for assistants (`.mcpb`) with the official tool, which checks it first.
 * Throws CodedError `failed_precondition`.
 */
export async function packMcpBundle(
  { program, executable, target }: { program: Program; executable: string; target: Target },
  { file, work }: { file: string; work: string },
): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: work, prefix: "mcpb-" });
  const name = `${program.name}${target.suffix}`;
  await Deno.mkdir(join(folder, "server"));
  await Deno.copyFile(executable, join(folder, "server", name));
  const manifest = toManifest(program, { entry: `server/${name}`, target });
  await Deno.writeTextFile(join(folder, "manifest.json"), JSON.stringify(manifest, undefined, 2));
  const made = join(work, basename(file));
  const outcome = await run([Deno.execPath(), "run", "-A", "--quiet", TOOL, "pack", folder, made], {
    cwd: work,
  });
  if (outcome.code !== 0) {
    throw new CodedError("failed_precondition", `Cannot pack ${file}: ${reasonOf(outcome)}`);
  }
  await Deno.rename(made, file);
}

/** What an assistant is told of the bundle. */
export function toManifest(program: Program, { entry, target }: { entry: string; target: Target }) {
  const platform = PLATFORMS[target.name.split("-")[0] ?? ""] ?? "linux";
  return {
    manifest_version: MANIFEST_VERSION,
    name: program.name,
    display_name: "AgentAnycast",
    version: program.version,
    description:
      "The peer-to-peer network of AI agents as tools: find agents, send them work, get their results.",
    long_description:
      "Runs a node of the AgentAnycast network on this machine, or joins the one that runs already. " +
      "Agents are found by skill, reached peer to peer with end-to-end encryption, and asked as tools.",
    author: { name: "AgentAnycast" },
    license: "Apache-2.0",
    keywords: ["agents", "a2a", "p2p", "mcp"],
    server: {
      type: "binary",
      entry_point: entry,
      mcp_config: {
        command: `\${__dirname}/${entry}`,
        args: ["mcp"],
        env: {
          AGENTANYCAST_HOME: "${user_config.home}",
          AGENTANYCAST_BOOTSTRAP_PEERS: "${user_config.relay}",
        },
      },
    },
    tools: [
      { name: "discover_agents", description: "Find agents on the network by skill" },
      { name: "send_task", description: "Send a task to an agent and wait for its result" },
      { name: "get_task_status", description: "How a task stands, with its result" },
      { name: "pin_agent", description: "Make each skill of an agent a tool of its own" },
    ],
    tools_generated: true,
    prompts_generated: true,
    compatibility: { platforms: [platform] },
    user_config: {
      home: {
        type: "directory",
        title: "Folder of the node",
        description: "Key, store and logs of this node are kept there",
        default: "${HOME}/.agentanycast",
        required: false,
      },
      relay: {
        type: "string",
        title: "Relay",
        description:
          "Address of a relay or peer to stay connected to, such as /dns4/relay.example.com/tcp/4001/p2p/12D3…",
        default: "",
        required: false,
      },
    },
  };
}
