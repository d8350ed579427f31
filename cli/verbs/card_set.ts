import { CodedError, errorMessage } from "../../core/errors.ts";
import type { AgentCard } from "../../sdk/mod.ts";
import { EXIT_OK } from "../exit_codes.ts";
import { describeCard } from "../card_text.ts";
import { parseCard } from "../parse_card.ts";
import type { ByteSource } from "../output.ts";
import { readText } from "../read_text.ts";
import { openSession } from "../session.ts";
import type { VerbContext } from "../verb.ts";

/** Replaces the own card with the one in a file. */
export async function run(context: VerbContext): Promise<number> {
  const { args: [file = ""], output, stdin, logger, signal } = context;
  const given = await readCard(file, stdin);
  await using session = await openSession(context.loadConfig(), {
    ...{ logger, signal, network: false, card: given },
  });
  const { card = given } = await session.node.info();
  output.result(card, () => describeCard(card));
  return EXIT_OK;
}

async function readCard(file: string, stdin: ByteSource): Promise<AgentCard> {
  const where = file === "-" ? "stdin" : file;
  try {
    return parseCard(JSON.parse(file === "-" ? await readText(stdin) : await Deno.readTextFile(file)));
  } catch (error) {
    if (error instanceof CodedError) throw error;
    const code = error instanceof Deno.errors.NotFound ? "not_found" : "invalid_argument";
    throw new CodedError(code, `Cannot read a card from ${where}: ${errorMessage(error)}`, { cause: error });
  }
}
