/**
 * Notices that a payment provider sends by itself (Standard Webhooks): what is in one, how one is signed, and whether one is genuine. A notice
 * is a hint that something has changed at the provider, and no more: whoever takes it asks the provider again under the order's own key.
 *
 * Relies on HMAC-SHA-256 as the library computes it. Judges the time by a clock that is handed in, because the library's own check
 * reads the machine's: a node whose clock was stepped would refuse every notice.
 */
import { timingSafeEqual } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { PaymentState } from './provider.ts';

export interface PaymentNotice {
  /** `payment.` and the state that the payment has come to. */
  readonly type: string;
  /** The order's id. */
  readonly reference: string;
  readonly paymentId?: string;
  readonly state?: PaymentState;
}

/** The three headers of a signed message, by their lower-case names. */
export interface NoticeHeaders {
  readonly 'webhook-id': string;
  /** Whole seconds since the epoch. */
  readonly 'webhook-timestamp': string;
  /** `v1,<base64>`, several of them with a space between. */
  readonly 'webhook-signature': string;
}

/** A notice older or newer than this is none: it may be one that somebody has kept. */
export const NOTICE_TOLERANCE_MS = 5 * 60_000;
/** Of a header: more than a provider with several secrets would send. */
const SIGNATURES_MAX = 10;
const SECRET_BYTES_MIN = 24;
const SECRET = /^(?:whsec_)?((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;

/** Whether it is base64 of at least 24 bytes, with or without `whsec_` before it. */
export function isNoticeSecret(secret: string): boolean {
  const [, base64] = SECRET.exec(secret) ?? [];
  return base64 !== undefined && Buffer.from(base64, 'base64').length >= SECRET_BYTES_MIN;
}

/** @param now milliseconds since the epoch */
export function signNotice(secret: string, id: string, body: string, now: number): NoticeHeaders {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, new Date(now), body),
  };
}

/** Verifies under each of several secrets, so that one can be replaced while notices come in. */
export class NoticeVerifier {
  readonly #webhooks: readonly Webhook[];

  constructor(secrets: readonly string[]) {
    this.#webhooks = secrets.map((secret) => new Webhook(secret));
  }

  /**
   * @param header a header by its lower-case name, '' where it was not sent
   * @param now milliseconds since the epoch
   */
  isGenuine(body: Uint8Array, header: (name: keyof NoticeHeaders) => string, now: number): boolean {
    const id = header('webhook-id');
    const timestamp = header('webhook-timestamp');
    if (!/^[\x21-\x7e]{1,255}$/.test(id) || !/^\d{1,12}$/.test(timestamp)) return false;
    const sentAt = Number(timestamp) * 1000;
    if (Math.abs(now - sentAt) > NOTICE_TOLERANCE_MS) return false;
    const signatures = header('webhook-signature')
      .split(' ', SIGNATURES_MAX)
      .map((text) => Buffer.from(text));
    const text = Buffer.from(body).toString();
    return this.#webhooks.some((webhook) => {
      const expected = Buffer.from(webhook.sign(id, new Date(sentAt), text));
      return signatures.some((given) => given.length === expected.length && timingSafeEqual(given, expected));
    });
  }
}
