import { Buffer } from "node:buffer";
import { type Clock, systemClock } from "../../../core/clock.ts";
import { CodedError, errorMessage } from "../../../core/errors.ts";
import type { SafeFetch } from "../../../http/mod.ts";
import { type Identity, signBytes } from "../../../identity/mod.ts";
import type { Webhook } from "./webhook_record.ts";

export interface WebhookCallerDeps {
  fetch: SafeFetch;
  identity: Identity;
  /** @throws Error that says why this URL is never called, as far as the URL alone tells. Default: nothing more. */
  checkAddress?: (url: URL) => void;
  clock?: Clock;
}

export interface WebhookCallerOptions {
  /** How long one notification is tried, in milliseconds. Default 1 h. */
  tryForMs?: number;
  /** Pause after the first failure, in milliseconds; doubles each time, up to a minute. Default 1 s. */
  firstPauseMs?: number;
  /** How long one try may take, in milliseconds. Default 15 s. */
  timeoutMs?: number;
  /** Calls under way at once; more wait. Default 128. */
  maxAtOnce?: number;
}

/** One notification. */
export interface Notification {
  /** The same on each try. */
  readonly messageId: string;
  /** JSON. */
  readonly body: string;
  readonly signal: AbortSignal;
}

const MAX_PAUSE_MS = 60_000;
/** Answers that say that trying again is of no use. */
const HOPELESS = new Set([400, 401, 403, 404, 405, 410, 413, 415, 422, 501]);

/**
 * Calls webhooks, again and again with growing pauses, and signs what it says: Standard Webhooks with the key of this node
 * (`webhook-id`, `webhook-timestamp`, `webhook-signature: v1a,<base64 of Ed25519>` over `<id>.<timestamp>.<body>`).
 */
export class WebhookCaller {
  readonly #deps: Required<WebhookCallerDeps>;
  readonly #options: Required<WebhookCallerOptions>;
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor(deps: WebhookCallerDeps, options: WebhookCallerOptions = {}) {
    this.#deps = { clock: systemClock, checkAddress: () => {}, ...deps };
    this.#options = {
      tryForMs: 60 * 60 * 1000,
      firstPauseMs: 1_000,
      timeoutMs: 15_000,
      maxAtOnce: 128,
      ...options,
    };
  }

  /** @throws CodedError `invalid_argument` for a URL that is never called. */
  checkUrl(url: string): void {
    const parsed = URL.parse(url);
    if (parsed === null || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) {
      throw new CodedError(
        "invalid_argument",
        "Invalid parameters: the webhook's url must be an http(s) URL",
      );
    }
    if (parsed.username !== "" || parsed.password !== "") {
      throw new CodedError(
        "invalid_argument",
        "Invalid parameters: the webhook's url holds a password; give authentication instead",
      );
    }
    try {
      this.#deps.checkAddress(parsed);
    } catch (cause) {
      throw new CodedError(
        "invalid_argument",
        `Invalid parameters: the webhook's url: ${errorMessage(cause)}`,
        { cause },
      );
    }
  }

  /**
   * Resolves when the webhook has taken the notification. @throws CodedError `unavailable` when it did not in time or never
   * will, `permission_denied` when its address is none that may be called; whatever aborted `signal`.
   */
  async post(webhook: Webhook, notification: Notification): Promise<void> {
    const { clock } = this.#deps;
    const { tryForMs, firstPauseMs } = this.#options;
    const startedAtMs = clock.now();
    for (let pauseMs = firstPauseMs;; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      const failure = await this.#try(webhook, notification);
      if (failure === undefined) return;
      if (failure.isHopeless || clock.now() + pauseMs - startedAtMs > tryForMs) {
        throw new CodedError("unavailable", `The webhook did not take a notification: ${failure.reason}`);
      }
      const jitter = 0.75 + Math.random() / 2;
      await clock.sleep(pauseMs * jitter, notification.signal);
      notification.signal.throwIfAborted();
    }
  }

  async #try(
    webhook: Webhook,
    notification: Notification,
  ): Promise<{ reason: string; isHopeless: boolean } | undefined> {
    const { fetch } = this.#deps;
    const { body, signal } = notification;
    await this.#enter();
    try {
      signal.throwIfAborted();
      const response = await fetch(webhook.url, {
        method: "POST",
        headers: this.#headers(webhook, notification),
        body,
        redirect: "error",
        signal,
        timeoutMs: this.#options.timeoutMs,
        maxBytes: 64 * 1024,
      });
      await response.body?.cancel();
      if (response.ok) return undefined;
      return { reason: `it answered ${response.status}`, isHopeless: HOPELESS.has(response.status) };
    } catch (error) {
      signal.throwIfAborted();
      const isHopeless = error instanceof CodedError &&
        (error.code === "permission_denied" || error.code === "invalid_argument" ||
          error.code === "failed_precondition");
      return { reason: errorMessage(error), isHopeless };
    } finally {
      this.#leave();
    }
  }

  #headers(webhook: Webhook, { messageId, body }: Notification): Record<string, string> {
    const { token, authScheme, authCredentials, version } = webhook;
    const timestamp = String(Math.floor(this.#deps.clock.now() / 1000));
    const signed = Buffer.from(`${messageId}.${timestamp}.${body}`);
    const signature = Buffer.from(signBytes(this.#deps.identity, signed)).toString("base64");
    return {
      "content-type": version === "0.3" ? "application/json" : "application/a2a+json",
      "a2a-version": version,
      "webhook-id": messageId,
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1a,${signature}`,
      ...(authScheme !== "" && { authorization: `${authScheme} ${authCredentials}`.trimEnd() }),
      ...(token !== "" && { "x-a2a-notification-token": token }),
    };
  }

  async #enter(): Promise<void> {
    if (this.#underWay < this.#options.maxAtOnce) {
      this.#underWay++;
      return;
    }
    // Whoever leaves hands its place over.
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#underWay--;
    else next();
  }
}
