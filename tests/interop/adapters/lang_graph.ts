import { Annotation, Command, END, interrupt, MemorySaver, MessagesAnnotation, START, StateGraph } from "npm:@langchain/langgraph@1.7.3";
import { BaseChatModel } from "npm:@langchain/core@1.4.0/language_models/chat_models";
import { AIMessage, AIMessageChunk, type BaseMessage } from "npm:@langchain/core@1.4.0/messages";
import { ChatGenerationChunk } from "npm:@langchain/core@1.4.0/outputs";
import { langGraph } from "../../../sdk/adapters/mod.ts";
import { ask, converse, scripted } from "./turns.ts";

/** A chat model that answers by script, in pieces. */
class ScriptedModel extends BaseChatModel {
  _llmType() {
    return "scripted";
  }
  async _generate(messages: BaseMessage[]) {
    const text = answer(messages).join("");
    return { generations: [{ text, message: new AIMessage(text) }] };
  }
  override async *_streamResponseChunks(messages: BaseMessage[], options: { signal?: AbortSignal }, manager?: any) {
    for (const text of answer(messages)) {
      options.signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 1));
      const chunk = new ChatGenerationChunk({ text, message: new AIMessageChunk(text) });
      yield chunk;
      await manager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk });
    }
  }
}

function answer(messages: BaseMessage[]): string[] {
  return scripted(messages.filter((message) => message.getType() === "human").map((message) => String(message.content)));
}

const model = new ScriptedModel({});
const chat = new StateGraph(MessagesAnnotation)
  .addNode("model", async ({ messages }, config) => ({ messages: [await model.invoke(messages, config)] }))
  .addEdge(START, "model").addEdge("model", END)
  .compile({ checkpointer: new MemorySaver() });
await converse(langGraph(chat));

const Order = Annotation.Root({ messages: Annotation<unknown[]>, output: Annotation<string> });
const order = new StateGraph(Order)
  .addNode("ask", () => ({ output: `A ${interrupt("Which colour?")} cat` }))
  .addEdge(START, "ask").addEdge("ask", END)
  .compile({ checkpointer: new MemorySaver() });
const run = langGraph(order, { resume: (resume) => new Command({ resume }) });
const question = await ask(run, "Draw a cat");
const earlier = [{ role: "user" as const, parts: [] }, { role: "agent" as const, parts: [] }];
console.log(JSON.stringify({ question, answer: await ask(run, "blue", { earlier }) }));
