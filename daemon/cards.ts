import { Buffer } from "node:buffer";
import type { AgentCard } from "../a2a/mod.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { CodedError, errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import { type Identity, isPeerId, toDidKey } from "../identity/mod.ts";
import { type KvOperation, type KvStore, ownCardKey, peerCardKey, peerCardPrefix } from "../kv/mod.ts";
import type { CardReach } from "./card_reach.ts";
import { RateLimiter } from "./policy/rate_limiter.ts";
import { decodeCard, encodeCard, encodeSignedCard } from "./convert/card.ts";
import { mergeCards } from "./merge_cards.ts";

/** Most bytes of a card, own or received. */
export const MAX_CARD_BYTES = 256 * 1024;
/** Bytes of peers' cards held in memory, the newest; the others are read from the store. */
const MAX_CACHED_BYTES = 16 * 1024 * 1024;
/** Peers whose card is kept in the store; beyond that the one seen longest ago goes. */
const MAX_STORED_CARDS = 10_000;

export interface CardBookDeps {
  kv: KvStore;
  /** Whose book it is; its key signs the own card. */
  identity: Identity;
  logger: Logger;
  /** What the node adds to the own card; asked each time that it is signed. Default: nothing. */
  additions?: () => Promise<CardAdditions>;
  /** The own card is another one. */
  onOwnCard?: () => void;
  /** Default the wall clock. */
  clock?: Clock;
}

/** How often a peer may change its card. */
const CHANGES_OF_A_CARD = { rps: 0.5, burst: 20 };

/** What a node knows of its agent that the agent need not say. */
export interface CardAdditions extends Partial<CardReach> {
  /** Empty for none. */
  readonly didWeb: string;
  readonly didDns: string;
  /** Credentials about the agent, as JSON text. */
  readonly credentials: readonly string[];
}

/** What the own card is made of. */
interface CardParts {
  /** Set for the node as a whole, and whether that was in this run. */
  readonly set: { readonly card: AgentCard; readonly isNew: boolean } | undefined;
  /** Of the agents that are attached. */
  readonly attached: readonly AgentCard[];
}

/** The own card with what the node adds, and the bytes that are sent to peers. */
interface OwnCard {
  readonly card: AgentCard;
  readonly signed: Uint8Array;
}

/** The card of this node and the last one seen of each peer, both kept in the store. */
export class CardBook {
  readonly #deps: CardBookDeps;
  /** Encoded cards of peers in `#stored`, the one cached last at the end; as objects they could be many times larger. */
  readonly #cached = new Map<string, Uint8Array>();
  #cachedBytes = 0;
  /** How often peers change their cards: each change is written. */
  readonly #changes: RateLimiter;
  /** Peers with a card in the store, the one seen last at the end. */
  readonly #stored = new Set<string>();
  /** The card read last: with every task of a peer it is asked for again. */
  #read: { readonly peerId: string; readonly bytes: Uint8Array; readonly card: AgentCard } | undefined;
  #own: OwnCard | undefined;
  #parts: CardParts = { set: undefined, attached: [] };
  /** Changes of the own card, one after the other. */
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(deps: CardBookDeps) {
    this.#deps = deps;
    this.#changes = new RateLimiter(deps.clock ?? systemClock);
  }

  /** A card book with the own card of an earlier run, if there is one. */
  static async open(deps: CardBookDeps): Promise<CardBook> {
    const book = new CardBook(deps);
    try {
      const stored = await deps.kv.get(ownCardKey);
      if (stored !== undefined) {
        const set = { card: book.#claim(decodeCard(stored.value)), isNew: false };
        await book.#change(() => ({ set, attached: [] }));
      }
    } catch (error) {
      deps.logger.error("The stored agent card cannot be read: set it again", { error });
    }
    const onDamaged = (_key: unknown, error: unknown) => {
      deps.logger.error("A peer's card in the store cannot be read; it is left out", { error });
    };
    for await (const { key } of deps.kv.list(peerCardPrefix, { onDamaged })) {
      book.#stored.add(String(key.at(-1)));
    }
    return book;
  }

  /** The own card; undefined until one is set. */
  get own(): AgentCard | undefined {
    return this.#own?.card;
  }

  /** The own card as peers get it: encoded, and signed by this node. Undefined until one is set. */
  get ownSigned(): Uint8Array | undefined {
    return this.#own?.signed;
  }

  /**
   * Sets the card of the node as a whole; peer id and did:key become this node's. One from an earlier run is shown only while no
   * attached agent has a card. @throws CodedError `invalid_argument`.
   */
  async setOwn(card: AgentCard): Promise<AgentCard> {
    const claimed = this.#claim(card);
    checkCard(claimed);
    await this.#change(({ attached }) => ({ set: { card: claimed, isNew: true }, attached }), {
      operations: [{ op: "set", key: ownCardKey, value: encodeCard(claimed) }],
    });
    return this.own ?? claimed;
  }

  /** The cards of the agents that are attached now, which are not stored. @throws CodedError `invalid_argument`. */
  async setAttached(cards: readonly AgentCard[]): Promise<void> {
    const attached = cards.map((card) => this.#claim(card));
    for (const card of attached) checkCard(card);
    await this.#change(({ set }) => ({ set, attached }));
  }

  /** Signs the own card again, with what the node adds to it now. @throws CodedError `invalid_argument` when it is too large. */
  async refreshOwn(): Promise<void> {
    await this.#change((parts) => parts, { isTold: false });
  }

  /** Makes the own card anew. Nothing has changed when that fails. */
  #change(
    change: (parts: CardParts) => CardParts,
    { operations = [], isTold = true }: { operations?: KvOperation[]; isTold?: boolean } = {},
  ): Promise<void> {
    const changed = this.#changing.then(async () => {
      const parts = change(this.#parts);
      const { set, attached } = parts;
      const isShown = set?.isNew || attached.length === 0;
      const merged = mergeCards([...set !== undefined && isShown ? [set.card] : [], ...attached]);
      const own = merged && await this.#sign(merged);
      if (operations.length > 0) await this.#deps.kv.commit(operations);
      this.#parts = parts;
      this.#own = own;
      if (isTold) this.#deps.onOwnCard?.();
    });
    this.#changing = changed.catch(() => {}); // whoever asked for the change was told
    return changed;
  }

  /**
   * Takes the card a peer sent. Its peer id must be the connection's (or missing); the did:key is made to follow from
   * it. @throws CodedError `invalid_argument` for a card that is damaged, forged, too large or another peer's,
   * `resource_exhausted` for one that changes too often.
   */
  async take(peerId: string, bytes: Uint8Array): Promise<AgentCard> {
    if (bytes.length > MAX_CARD_BYTES) {
      throw new CodedError(
        "invalid_argument",
        `The card of ${peerId} has ${bytes.length} bytes: ${MAX_CARD_BYTES} at most`,
      );
    }
    let claimed: AgentCard;
    try {
      claimed = decodeCard(bytes);
    } catch (error) {
      throw new CodedError(
        "invalid_argument",
        `The card of ${peerId} cannot be read: ${errorMessage(error)}`,
      );
    }
    if (claimed.peerId !== "" && claimed.peerId !== peerId) {
      throw new CodedError(
        "invalid_argument",
        `The card that ${peerId} sent claims to be ${claimed.peerId}'s`,
      );
    }
    // Offered on every connection and to whoever asks: mostly it is the one at hand.
    const known = this.#cached.get(peerId);
    if (known !== undefined && Buffer.compare(known, bytes) === 0) return provenBy(peerId, claimed);
    if (this.#changes.take(peerId, CHANGES_OF_A_CARD) > 0) {
      throw new CodedError("resource_exhausted", `The card of ${peerId} changes too often`);
    }
    // As it came, or its signature would be lost.
    const operations: KvOperation[] = [{ op: "set", key: peerCardKey(peerId), value: bytes }];
    this.#stored.delete(peerId);
    const [oldest] = this.#stored;
    if (this.#stored.size >= MAX_STORED_CARDS && oldest !== undefined) {
      this.#stored.delete(oldest);
      this.#forget(oldest);
      operations.push({ op: "delete", key: peerCardKey(oldest) });
    }
    this.#stored.add(peerId);
    await this.#deps.kv.commit(operations);
    this.#remember(peerId, bytes);
    return provenBy(peerId, claimed);
  }

  /** The last card seen of a peer. */
  async of(peerId: string): Promise<AgentCard | undefined> {
    if (!this.#stored.has(peerId)) return undefined;
    const bytes = this.#cached.get(peerId) ?? (await this.#deps.kv.get(peerCardKey(peerId)))?.value;
    if (bytes === undefined) return undefined;
    if (this.#read?.peerId === peerId && this.#read.bytes === bytes) return this.#read.card;
    const card = provenBy(peerId, decodeCard(bytes));
    this.#read = { peerId, bytes, card };
    if (!this.#cached.has(peerId)) this.#remember(peerId, bytes);
    return card;
  }

  async #sign(set: AgentCard): Promise<OwnCard> {
    const { identity, additions } = this.#deps;
    const nowMs = (this.#deps.clock ?? systemClock).now();
    const added = await additions?.();
    const card: AgentCard = {
      ...set,
      ...added !== undefined && {
        didWeb: added.didWeb || set.didWeb,
        didDns: added.didDns || set.didDns,
        verifiableCredentials: [...new Set([...set.verifiableCredentials, ...added.credentials])],
        supportedTransports: added.supportedTransports ?? set.supportedTransports,
        relayAddresses: added.relayAddresses ?? set.relayAddresses,
      },
      signedAtMs: nowMs,
    };
    const signed = encodeSignedCard(card, { identity, nowMs });
    if (signed.length <= MAX_CARD_BYTES) return { card, signed };
    throw new CodedError(
      "invalid_argument",
      `The agent card has ${signed.length} bytes with its credentials: ${MAX_CARD_BYTES} at most`,
    );
  }

  #claim(card: AgentCard): AgentCard {
    const { peerId, didKey } = this.#deps.identity;
    return {
      ...card,
      version: card.version || "1.0.0",
      protocolVersion: card.protocolVersion || "a2a/0.3",
      supportedTransports: card.supportedTransports.length > 0 ? card.supportedTransports : ["tcp"],
      peerId,
      didKey,
      signedAtMs: 0,
      opensSealed: true,
    };
  }

  #remember(peerId: string, card: Uint8Array): void {
    this.#forget(peerId);
    if (!this.#stored.has(peerId)) return;
    this.#cached.set(peerId, card);
    this.#cachedBytes += card.length;
    for (const oldest of this.#cached.keys()) {
      if (this.#cachedBytes <= MAX_CACHED_BYTES) break;
      this.#forget(oldest);
    }
  }

  #forget(peerId: string): void {
    this.#cachedBytes -= this.#cached.get(peerId)?.length ?? 0;
    this.#cached.delete(peerId);
  }
}

/** Throws `invalid_argument` for a card that cannot be a node's. */
function checkCard({ name, skills }: AgentCard): void {
  if (name.trim() === "") throw new CodedError("invalid_argument", "The agent card needs a name");
  const ids = new Set<string>();
  for (const { id } of skills) {
    if (id.trim() !== "" && !ids.has(id)) {
      ids.add(id);
      continue;
    }
    throw new CodedError("invalid_argument", `Skill ids must be unique and not empty, got "${id}"`);
  }
}

/** A card that came over a connection of this peer, which proves these two names whatever the card says. */
function provenBy(peerId: string, card: AgentCard): AgentCard {
  return { ...card, peerId, didKey: isPeerId(peerId) ? toDidKey(peerId) : "" };
}
