// A LangGraph.js graph on the network. Interrupts of the graph become questions to the sender.
import { MemorySaver, MessagesAnnotation, START, StateGraph } from "npm:@langchain/langgraph@1.7.3";
import { langGraph, serveAgent } from "../../sdk/adapters/mod.ts";

const graph = new StateGraph(MessagesAnnotation)
  .addNode("answer", ({ messages }) => ({ messages: [{ role: "ai", content: `Echo: ${messages.at(-1)?.content}` }] }))
  .addEdge(START, "answer")
  .compile({ checkpointer: new MemorySaver() });

await using node = await serveAgent(langGraph(graph), { card: { name: "Graph", skills: [{ id: "echo" }] } });
console.log(`agentanycast send ${node.peerId} "Hello"`);
await node.serveForever();
