/**
 * The sandbox's notices to a shop: one for each change of a payment, signed, sent again with growing delays until the shop has taken it. They
 * are kept in memory only and are gone with the process; that is enough, since a shop believes no notice and misses none (it asks by itself).
 * Limits: 1,000 on their way or waiting (more are dropped), 16 at once, 7 tries each.
 */
import { randomUUID } from 'node:crypto';
import { type PaymentNotice, signNotice } from './notice.ts';

export interface NoticesOptions {
  /** Where a shop takes notices, `…/v1/webhooks/payments`. */
  readonly url: string;
  readonly secret: string;
  /** Before the second try; doubled twice for each further one. Default 200. */
  readonly retryMs?: number;
}

const WAITING_MAX = 1_000;
const AT_ONCE = 16;
const TRIES_MAX = 7;
const ANSWER_MS = 5_000;

interface Letter {
  readonly id: string;
  readonly body: string;
  tries: number;
}

export class SandboxNotices {
  readonly #options: NoticesOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #queue: Letter[] = [];
  #waiting = 0;
  #atOnce = 0;
  #state: 'open' | 'closed' = 'open';
  /** Taken by the shop. */
  delivered = 0;
  /** Given up after all tries, or never begun. */
  dropped = 0;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  tell(notice: PaymentNotice): void {
    if (this.#state === 'closed') return;
    if (this.#waiting >= WAITING_MAX) {
      this.dropped++;
      return;
    }
    this.#waiting++;
    this.#enqueue({ id: `msg_${randomUUID()}`, body: JSON.stringify(notice), tries: 0 });
  }

  close(): void {
    this.#state = 'closed';
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#queue.length = 0;
  }

  #enqueue(letter: Letter): void {
    this.#queue.push(letter);
    while (this.#atOnce < AT_ONCE) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#atOnce++;
      void this.#send(next);
    }
  }

  async #send(letter: Letter): Promise<void> {
    letter.tries++;
    const taken = await this.#post(letter);
    this.#atOnce--;
    if (taken || letter.tries >= TRIES_MAX || this.#state === 'closed') {
      this.#waiting--;
      if (taken) this.delivered++;
      else this.dropped++;
    } else this.#later(letter);
    const next = this.#queue.shift();
    if (next !== undefined) this.#enqueue(next);
  }

  #later(letter: Letter): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.#enqueue(letter);
      },
      (this.#options.retryMs ?? 200) * 4 ** (letter.tries - 1),
    );
    timer.unref();
    this.#timers.add(timer);
  }

  async #post({ id, body }: Letter): Promise<boolean> {
    const { url, secret } = this.#options;
    try {
      const answer = await fetch(url, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', ...signNotice(secret, id, body, Date.now()) },
        redirect: 'error',
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      await answer.body?.cancel();
      return answer.ok;
    } catch {
      // Nobody listens, or not in time: another try.
      return false;
    }
  }
}
