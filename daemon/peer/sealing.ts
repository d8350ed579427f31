import type { AgentCard, Answer, Envelope, EnvelopeTransport } from "../../a2a/mod.ts";
import { errorMessage } from "../../core/errors.ts";
import { KeyedLock } from "../../core/keyed_lock.ts";
import { BOX_OVERHEAD_BYTES, type Identity, PayloadBox } from "../../identity/mod.ts";
import { MAX_FRAME_BYTES } from "../../p2p/mod.ts";
import { type DecodedEnvelope, decodeEnvelope, encodeSealed } from "../convert/envelope.ts";

/** Whether payloads are sealed: never, for peers that can open them, or for all, and nothing else is taken. */
export type SealingMode = "off" | "prefer" | "require";

/** An envelope that has arrived, sealed or not. */
export type ArrivedEnvelope = Exclude<DecodedEnvelope, { kind: "ack" }>;

/** An envelope that can be read, or why it is not taken, or both. */
export type OpenedEnvelope =
  | { readonly envelope: Envelope; readonly refusal?: undefined }
  | { readonly envelope?: Envelope; readonly refusal: string };

type PlainEnvelope = Parameters<EnvelopeTransport["send"]>[1];
type SendOptions = Parameters<EnvelopeTransport["send"]>[2];
/** What goes out, or the answer instead. */
type Sealed = PlainEnvelope | Answer;

export interface SealingDeps {
  identity: Identity;
  cardOf: (peerId: string) => Promise<AgentCard | undefined>;
}

/** What the frame around a sealed envelope takes at most: its id and tags. */
const FRAME_OVERHEAD_BYTES = 512;

const MAX_SEALERS = 10_000;

/**
 * Encryption of envelopes from node to node, whatever carries them: for ways on which somebody in between could read along.
 * What is sealed is opened in any mode.
 */
export class Sealing {
  readonly #mode: SealingMode;
  readonly #deps: SealingDeps;
  readonly #box: PayloadBox;
  readonly #locks = new KeyedLock();
  /** How many envelopes for a peer wait to learn whether it can open them. */
  readonly #looking = new Map<string, number>();
  /** Peers that have sealed something: they can open it too, with or without a card. */
  readonly #sealers = new Set<string>();

  constructor(mode: SealingMode, deps: SealingDeps) {
    this.#mode = mode;
    this.#deps = deps;
    this.#box = new PayloadBox(deps.identity);
  }

  /** `transport`, with what it sends sealed as far as the mode says so. */
  wrap(transport: EnvelopeTransport): EnvelopeTransport {
    if (this.#mode === "off") return transport;
    const pass = (peerId: string, sealed: Sealed, options: SendOptions) =>
      "outcome" in sealed ? Promise.resolve(sealed) : transport.send(peerId, sealed, options);
    const send: EnvelopeTransport["send"] = async (peerId, envelope, options) => {
      // At once where nothing has to be looked up: what leaves in one moment travels, and is written, together.
      if (this.#sealers.has(peerId) && !this.#looking.has(peerId)) {
        return await pass(peerId, this.#sealFor(peerId, envelope), options);
      }
      // Else one after the other, so that envelopes leave in the order of the calls.
      this.#looking.set(peerId, (this.#looking.get(peerId) ?? 0) + 1);
      const { sent } = await this.#locks.run(peerId, async () => {
        try {
          const sealed = await this.#seal(peerId, envelope);
          return { sent: pass(peerId, sealed, options) };
        } finally {
          this.#looked(peerId);
        }
      });
      return await sent;
    };
    return {
      peerId: transport.peerId,
      isConnected: (peerId) => transport.isConnected(peerId),
      framingOf: (peerId) => transport.framingOf(peerId),
      windowOf: (peerId) => transport.windowOf(peerId),
      connect: (peerId, options) => transport.connect(peerId, options),
      send,
    };
  }

  /** What a peer has sent, opened when it is sealed. */
  open(peerId: string, arrived: ArrivedEnvelope): OpenedEnvelope {
    if (arrived.kind === "envelope") {
      const { envelope } = arrived;
      return this.#mode === "require"
        ? { envelope, refusal: "this node takes sealed payloads only" }
        : { envelope };
    }
    const bytes = this.#box.open(peerId, arrived.sealed);
    if (bytes === undefined) {
      return { refusal: "its payload cannot be opened: its sender has not sealed it for this node" };
    }
    this.#note(peerId);
    try {
      const opened = decodeEnvelope(bytes);
      const isRight = opened?.kind === "envelope" && opened.envelope.envelopeId === arrived.envelopeId;
      return isRight
        ? { envelope: opened.envelope }
        : { refusal: "what is sealed in it is no envelope of its id" };
    } catch (error) {
      return { refusal: errorMessage(error) };
    }
  }

  async #seal(peerId: string, envelope: PlainEnvelope): Promise<Sealed> {
    const canOpen = this.#sealers.has(peerId) || (await this.#deps.cardOf(peerId))?.opensSealed === true;
    if (canOpen) return this.#sealFor(peerId, envelope);
    return this.#mode === "prefer"
      ? envelope
      : { outcome: "refused", reason: "this node seals all payloads, and the peer cannot open them" };
  }

  #sealFor(peerId: string, { envelopeId, bytes }: PlainEnvelope): Sealed {
    if (bytes.length + BOX_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES > MAX_FRAME_BYTES) {
      return { outcome: "refused", reason: "its payload is too large to be sealed: split its content" };
    }
    try {
      return { envelopeId, bytes: encodeSealed(envelopeId, this.#box.seal(peerId, bytes)) };
    } catch (error) {
      return { outcome: "refused", reason: `its payload cannot be sealed: ${errorMessage(error)}` };
    }
  }

  #looked(peerId: string): void {
    const left = (this.#looking.get(peerId) ?? 0) - 1;
    if (left > 0) this.#looking.set(peerId, left);
    else this.#looking.delete(peerId);
  }

  #note(peerId: string): void {
    this.#sealers.delete(peerId);
    this.#sealers.add(peerId);
    const [oldest] = this.#sealers;
    if (this.#sealers.size > MAX_SEALERS && oldest !== undefined) this.#sealers.delete(oldest);
  }
}
