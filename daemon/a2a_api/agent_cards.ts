import type { AgentCard } from "../../a2a/mod.ts";
import { CodedError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import { type Identity, signA2aCard } from "../../identity/mod.ts";
import type { AgentNetwork } from "../agent_network.ts";
import type { A2aCall, A2aTarget } from "./a2a_call.ts";
import { a2aError } from "./a2a_error.ts";
import { IDEMPOTENT_SEND } from "./idempotent_send.ts";
import { type CardPlace, toCardJson, toMergedCardJson } from "./card_json.ts";
import { USUAL_INPUT_MODES } from "./message_in.ts";

/** How callers of the bridge prove who they are, as its cards declare it: by scheme of A2A 1.0 and of 0.3. */
export interface DeclaredScheme {
  readonly name: string;
  readonly v10: JsonObject;
  readonly v03: JsonObject;
}

export interface AgentCardsDeps {
  network: Pick<AgentNetwork, "ownCard" | "peerId" | "cardOf" | "discover">;
  identity: Identity;
  schemes: readonly DeclaredScheme[];
  /** Multiaddrs of this node. */
  addresses: () => readonly string[];
}

export interface AgentCardsOptions {
  /** `host:port` of the gRPC binding. Default: it is not served. */
  grpcAddress?: () => string | undefined;
}

/** A card as it is served. */
export interface ServedCard {
  readonly json: string;
  /** When its content was first served, in milliseconds since the Unix epoch. */
  readonly changedAtMs: number;
}

/** Cards kept with their signature, by place and version. */
const MAX_CACHED = 256;

/** The cards of all agents that the bridge leads to, signed by this node. */
export class AgentCards {
  readonly #deps: AgentCardsDeps;
  readonly #options: AgentCardsOptions;
  /** Served cards by what they were made from; the one used last at the end. */
  readonly #served = new Map<string, ServedCard & { content: string }>();

  constructor(deps: AgentCardsDeps, options: AgentCardsOptions = {}) {
    this.#deps = deps;
    this.#options = options;
  }

  /** What the agent says of itself; undefined when there is none or it has not said it. */
  async cardOf(target: A2aTarget): Promise<AgentCard | undefined> {
    const { network } = this.#deps;
    switch (target.kind) {
      case "self":
        return network.ownCard;
      case "peer":
        return await network.cardOf(target.peerId).catch(ifUnreachable);
      case "skill":
        return await this.#cardOfSkill(target.skillId);
      default:
        return target satisfies never;
    }
  }

  /** Media types that the agent takes. */
  async inputModesOf(target: A2aTarget): Promise<readonly string[]> {
    if (target.kind !== "self") return USUAL_INPUT_MODES;
    const declared = (await this.cardOf(target))?.skills.map(({ inputModes }) => inputModes) ?? [];
    return declared.length === 0 || declared.includes(undefined)
      ? USUAL_INPUT_MODES
      : [...new Set(declared.flatMap((modes) => modes ?? []))];
  }

  /**
   * The public card of an agent, signed. @param version `0.3`: in the form that clients of both versions understand.
   * @throws CodedError `not_found`.
   */
  async serve(
    target: A2aTarget,
    { origin, version }: { origin: string; version: "0.3" | "1.0" },
  ): Promise<ServedCard> {
    const card = await this.#known(target);
    const place = this.#placeOf(target, origin);
    const plain = toCardJson(card, place);
    const content = version === "1.0" ? plain : toMergedCardJson(plain, place);
    return this.#signed(`${version} ${place.url}`, {
      plain,
      content,
      jku: `${origin}/.well-known/jwks.json`,
    });
  }

  /** The card of the existing network's bridge. @throws CodedError `not_found`. */
  async flat(target: A2aTarget, origin: string): Promise<JsonObject> {
    const { name, description, version, protocolVersion, skills } = await this.#known(target);
    return {
      ...{ name, description, version, protocol_version: protocolVersion },
      skills: skills.map(({ id, description, inputSchema, outputSchema }) => ({
        ...{ id, description },
        ...(inputSchema !== "" && { input_schema: inputSchema }),
        ...(outputSchema !== "" && { output_schema: outputSchema }),
      })),
      url: this.#placeOf(target, origin).url,
    };
  }

  /**
   * The card for callers that have proven who they are: with the ways into the network of peers.
   * @throws CodedError UNSUPPORTED_OPERATION, `unauthenticated`, `not_found`.
   */
  async extended({ target, origin, version, isAuthenticated }: A2aCall): Promise<JsonObject> {
    const { schemes, addresses, identity, network } = this.#deps;
    if (schemes.length === 0) {
      throw a2aError(
        "UNSUPPORTED_OPERATION",
        "This agent has no extended card: the public one says everything",
      );
    }
    if (!isAuthenticated) throw new CodedError("unauthenticated", "The extended card needs credentials");
    const card = await this.#known(target);
    const place = this.#placeOf(target, origin);
    const isOwn = card.peerId === network.peerId;
    const extension = {
      uri: P2P_BINDING,
      description: "How the agent is reached in the network of peers, and what proves who it is.",
      params: {
        peerId: card.peerId,
        didKey: card.didKey,
        ...(card.didWeb !== "" && { didWeb: card.didWeb }),
        ...(card.didDns !== "" && { didDns: card.didDns }),
        addresses: isOwn ? addresses() : card.relayAddresses,
        ...(card.verifiableCredentials.length > 0 && { verifiableCredentials: card.verifiableCredentials }),
      },
    };
    const plain = toCardJson(card, { ...place, extensions: [...place.extensions, extension] });
    const content = version === "1.0" ? plain : toMergedCardJson(plain, place);
    return { ...content, signatures: [{ ...signA2aCard(content, identity) }] };
  }

  async #known(target: A2aTarget): Promise<AgentCard> {
    const card = await this.cardOf(target);
    if (card !== undefined) return card;
    const what = target.kind === "self"
      ? "This node"
      : target.kind === "peer"
      ? target.peerId
      : target.skillId;
    throw new CodedError(
      "not_found",
      `${what} has no agent card: nobody has set one, or it cannot be reached`,
    );
  }

  #placeOf(target: A2aTarget, origin: string): CardPlace {
    const grpcAddress = target.kind === "self" ? this.#options.grpcAddress?.() : undefined;
    return {
      url: origin + pathOf(target),
      schemes: this.#deps.schemes,
      ...(grpcAddress !== undefined && { grpcAddress }),
      extensions: [ONCE],
    };
  }

  async #cardOfSkill(skill: string): Promise<AgentCard | undefined> {
    const { network } = this.#deps;
    const { agents } = await network.discover({ skill, limit: 20 });
    const offered = agents.flatMap(({ skills }) => skills).filter(({ id }) => id === skill);
    const [first] = offered;
    if (first === undefined) return undefined;
    const tags = [...new Set(offered.flatMap(({ tags }) => Object.keys(tags)))];
    const { description } = first;
    return {
      ...{ name: skill, description: `Any agent of the network that offers ${skill}`, version: "1.0.0" },
      skills: [{ id: skill, name: skill, description, tags, inputSchema: "", outputSchema: "" }],
      ...{ protocolVersion: "", peerId: "", supportedTransports: [], relayAddresses: [] },
      ...{ didKey: "", didWeb: "", didDns: "", verifiableCredentials: [], signedAtMs: 0 },
    };
  }

  #signed(
    key: string,
    { plain, content, jku }: { plain: JsonObject; content: JsonObject; jku: string },
  ): ServedCard {
    const { identity } = this.#deps;
    const unsigned = JSON.stringify(content);
    const known = this.#served.get(key);
    this.#served.delete(key);
    const served = known?.content === unsigned ? known : {
      content: unsigned,
      changedAtMs: Date.now(),
      // Some clients verify what they know of a card alone, others all of it.
      json: JSON.stringify({
        ...content,
        signatures: [...new Set([plain, content])].map((one) => signA2aCard(one, identity, { jku })),
      }),
    };
    this.#served.set(key, served);
    const [oldest] = this.#served.keys();
    if (this.#served.size > MAX_CACHED && oldest !== undefined) this.#served.delete(oldest);
    return served;
  }
}

const ONCE = { uri: IDEMPOTENT_SEND, description: "A message of the same id and content is taken once." };

/** What A2A calls the way through the network of peers, as a binding and as an extension. */
export const P2P_BINDING = "urn:agentanycast:a2a-p2p:2";

/** Where an agent is below the bridge. */
export function pathOf(target: A2aTarget): string {
  switch (target.kind) {
    case "self":
      return "";
    case "peer":
      return `/agents/${target.peerId}`;
    case "skill":
      return `/skills/${encodeURIComponent(target.skillId)}`;
    default:
      return target satisfies never;
  }
}

function ifUnreachable(error: unknown): undefined {
  if (error instanceof CodedError && error.code !== "internal") return undefined;
  throw error;
}
