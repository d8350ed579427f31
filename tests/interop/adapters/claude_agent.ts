import { query } from "npm:@anthropic-ai/claude-agent-sdk@0.3.332";
import { claudeAgent } from "../../../sdk/adapters/mod.ts";
import { ask } from "./turns.ts";

// The real SDK drives its program over stdio; ours stands for it and answers by script.
const pathToClaudeCodeExecutable = new URL("./claude_program.mjs", import.meta.url).pathname;
const run = claudeAgent({ query: query as any, options: { pathToClaudeCodeExecutable, executable: "node", settingSources: [] } });
const first = await ask(run, "My name is Ada");
const second = await ask(run, "What is my name?");
console.log(JSON.stringify({ first, second }));
Deno.exit(0);
