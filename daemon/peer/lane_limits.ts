import { MAX_FRAME_BYTES } from "../../p2p/mod.ts";
import type { LaneLimits } from "./lane_codec.ts";

/** What we take from a peer on a lane. */
export const OWN_LIMITS: LaneLimits = {
  maxUnansweredEnvelopes: 256,
  maxUnansweredBytes: 8 * 1024 * 1024,
  maxEnvelopeBytes: MAX_FRAME_BYTES,
};

/** What any receiver takes before its hello is there, so that the first envelopes need not wait for it. */
export const UNGREETED_LIMITS: LaneLimits = {
  maxUnansweredEnvelopes: 16,
  maxUnansweredBytes: 64 * 1024,
  maxEnvelopeBytes: 64 * 1024,
};

/** Envelopes that go in one frame while more are waiting; a longer one goes alone. */
export const MAX_BATCH_BYTES = 256 * 1024;

/** Most envelopes in one frame, and answers: what any receiver may be expected to take at once. */
export const MAX_BATCH_ITEMS = 256;

/** How often a lane looks at the time, in milliseconds. */
export const TICK_MS = 5_000;

/** With envelopes unanswered and nothing heard for this long, the way to the peer is doubted. */
export const DOUBT_MS = 1_000;

/** With envelopes unanswered and nothing heard for this long, the peer is asked for a sign of life. */
export const QUIET_MS = 10_000;

/** Without a sign of life after this time the lane is given up. */
export const PONG_MS = 10_000;

/** A lane without traffic for this long is closed. */
export const IDLE_MS = 5 * 60_000;

/** How long the other side may take with its hello. */
export const HELLO_MS = 10_000;
