import { createHash, timingSafeEqual } from "node:crypto";
import { CodedError } from "../../core/errors.ts";
import { isOwner, LOCAL_CALLER, type McpCaller } from "./service.ts";

/** Shortest token that is accepted, in characters. */
const MIN_TOKEN_LENGTH = 16;

/** Who may call, by their bearer tokens. Only hashes are kept. */
export class CallerTokens {
  readonly #hashes: readonly (readonly [name: string, hash: Uint8Array])[];

  private constructor(hashes: readonly (readonly [string, Uint8Array])[]) {
    this.#hashes = hashes;
  }

  /**
   * Reads `name:token` items. @throws CodedError `invalid_argument` for an item of another form, a short token or a name that
   * comes twice; the message never has the token.
   */
  static parse(items: readonly string[]): CallerTokens {
    const pairs = items.map((item) => {
      const [name, token] = [item.slice(0, item.indexOf(":")), item.slice(item.indexOf(":") + 1)];
      if (!item.includes(":") || !/^[A-Za-z0-9_.@-]{1,64}$/.test(name)) {
        throw new CodedError(
          "invalid_argument",
          "A token must be written as name:token, with a name of letters, digits, _ . @ and -",
        );
      }
      if (isOwner({ name })) {
        throw new CodedError(
          "invalid_argument",
          `No token can have the name ${name}: it stands for the user of this machine`,
        );
      }
      if (token.length < MIN_TOKEN_LENGTH) {
        throw new CodedError(
          "invalid_argument",
          `The token of ${name} is too short: take ${MIN_TOKEN_LENGTH} characters or more, such as from \`openssl rand -hex 32\``,
        );
      }
      return [name, hashOf(token)] as const;
    });
    const twice = pairs.find(([name], i) => pairs.findIndex(([other]) => other === name) !== i);
    if (twice !== undefined) throw new CodedError("invalid_argument", `Two tokens have the name ${twice[0]}`);
    return new CallerTokens(pairs);
  }

  /** Whether anybody may call without a token. */
  get isEmpty(): boolean {
    return this.#hashes.length === 0;
  }

  /** Who sent the request; undefined when that is not proven. Without any tokens everybody is {@link LOCAL_CALLER}. */
  callerOf(request: Request): McpCaller | undefined {
    if (this.isEmpty) return { name: LOCAL_CALLER };
    const [, token = ""] = /^Bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    const hash = hashOf(token);
    const known = this.#hashes.find(([, expected]) => timingSafeEqual(expected, hash));
    return known === undefined ? undefined : { name: known[0] };
  }
}

function hashOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}
