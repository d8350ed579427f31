import {
  acceptedContent,
  inputRequired,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";
import { clientCapabilities } from "../../../mcp/mod.ts";

/** What the fixture keeps in `requestState`. */
export interface FixtureState {
  readonly round: number;
}

const nameSchema = z.object({ name: z.string() });
const elicitName = (message: string) => inputRequired.elicit({ message, requestedSchema: nameSchema });
const sample = (question: string, maxTokens: number) =>
  inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: question } }],
    maxTokens,
  });
const done = (value: string) => ({ content: [{ type: "text" as const, text: value }] });

/** Tools that ask the client by results that require input, as from revision 2026-07-28 on. */
export function registerInputTools(server: McpServer, state: RequestStateCodec<FixtureState>): void {
  const tool = (name: string, run: (context: ServerContext) => ReturnType<typeof answerOrAsk>) =>
    server.registerTool(name, { description: `Asks as ${name} is to` }, run);
  const elicitation = (context: ServerContext) => {
    const given = acceptedContent(context.mcpReq.inputResponses, "user_name", nameSchema);
    if (given !== undefined) return done(`Hello, ${given.name}!`);
    return inputRequired({ inputRequests: { user_name: elicitName("What is your name?") } });
  };
  tool("test_input_required_result_elicitation", elicitation);
  tool("test_streaming_elicitation", elicitation);
  tool("test_input_required_result_sampling", (context) => {
    const given = inputResponse(context.mcpReq.inputResponses, "capital_question");
    if (given.kind === "sampling") return done(JSON.stringify(given.result.content));
    return inputRequired({
      inputRequests: { capital_question: sample("What is the capital of France?", 100) },
    });
  });
  tool("test_missing_capability", () => inputRequired({ inputRequests: { answer: sample("Anything", 10) } }));
  tool("test_input_required_result_list_roots", (context) => {
    const given = inputResponse(context.mcpReq.inputResponses, "client_roots");
    if (given.kind === "roots") return done(given.roots.map(({ uri }) => uri).join(", "));
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  });
  tool("test_input_required_result_multiple_inputs", async (context) => {
    const { inputResponses } = context.mcpReq;
    const name = acceptedContent(inputResponses, "user_name", nameSchema);
    const greeting = inputResponse(inputResponses, "greeting");
    const roots = inputResponse(inputResponses, "client_roots");
    if (name !== undefined && greeting.kind === "sampling" && roots.kind === "roots") {
      return done(`${name.name}, ${roots.roots.length}`);
    }
    return inputRequired({
      inputRequests: {
        user_name: elicitName("What is your name?"),
        greeting: sample("Generate a greeting", 50),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await state.mint({ round: 1 }, context),
    });
  });
  registerStateTools(tool, state);
  tool("test_input_required_result_capabilities", (context) => {
    const capabilities = clientCapabilities(server, context);
    return inputRequired({
      inputRequests: {
        ...(capabilities.elicitation && { user_name: elicitName("What is your name?") }),
        ...(capabilities.sampling && { greeting: sample("Generate a greeting", 50) }),
      },
    });
  });
  registerAskingPrompt(server);
}

function registerAskingPrompt(server: McpServer): void {
  server.registerPrompt(
    "test_input_required_result_prompt",
    { description: "Asks before it answers" },
    (context) => {
      const given = acceptedContent(
        context.mcpReq.inputResponses,
        "user_context",
        z.object({ context: z.string() }),
      );
      if (given === undefined) {
        return inputRequired({
          inputRequests: {
            user_context: inputRequired.elicit({
              message: "What context should the prompt use?",
              requestedSchema: z.object({ context: z.string() }),
            }),
          },
        });
      }
      return { messages: [{ role: "user", content: { type: "text", text: `Context: ${given.context}` } }] };
    },
  );
}

type AnswerOrAsk = ReturnType<typeof done> | ReturnType<typeof inputRequired>;
declare function answerOrAsk(): AnswerOrAsk | Promise<AnswerOrAsk>;

function registerStateTools(
  tool: (name: string, run: (context: ServerContext) => ReturnType<typeof answerOrAsk>) => void,
  state: RequestStateCodec<FixtureState>,
): void {
  const confirmed = async (context: ServerContext) => {
    const ok = acceptedContent(context.mcpReq.inputResponses, "confirm", z.object({ ok: z.boolean() }));
    if (ok !== undefined && context.mcpReq.requestState<FixtureState>()?.round === 1) {
      return done("Confirmed, state-ok");
    }
    return inputRequired({
      inputRequests: {
        confirm: inputRequired.elicit({
          message: "Please confirm",
          requestedSchema: z.object({ ok: z.boolean() }),
        }),
      },
      requestState: await state.mint({ round: 1 }, context),
    });
  };
  tool("test_input_required_result_request_state", confirmed);
  tool("test_input_required_result_tampered_state", confirmed);
  tool("test_input_required_result_multi_round", async (context) => {
    const { inputResponses, requestState } = context.mcpReq;
    const round = requestState<FixtureState>()?.round ?? 0;
    const color = acceptedContent(inputResponses, "step2", z.object({ color: z.string() }));
    if (round === 2 && color !== undefined) return done(`You like ${color.color}`);
    const name = acceptedContent(inputResponses, "step1", nameSchema);
    if (round === 1 && name !== undefined) {
      return inputRequired({
        inputRequests: {
          step2: inputRequired.elicit({
            message: "Step 2: What is your favorite color?",
            requestedSchema: z.object({ color: z.string() }),
          }),
        },
        requestState: await state.mint({ round: 2 }, context),
      });
    }
    return inputRequired({
      inputRequests: { step1: elicitName("Step 1: What is your name?") },
      requestState: await state.mint({ round: 1 }, context),
    });
  });
}
