/**
 * Notices as a careless provider sends them: of each payment several more than one, under the same id, of the state it has and of those it had
 * or might have, shuffled, late, to any node. All are signed; none says anything that a shop may believe.
 */
import assert from 'node:assert/strict';
import { type PaymentNotice, signNotice } from '../payments/notice.ts';
import type { BookedPayment } from './books.ts';
import type { Cluster } from './cluster-process.ts';
import { pause } from './shop-process.ts';
import { inParallel } from './shopper.ts';

export const NOTICE_SECRET = `whsec_${Buffer.alloc(24, 5).toString('base64')}`;

const STATES = ['authorized', 'captured', 'voided', 'refunded'] as const;

export class NoticeStorm {
  readonly #copies: number;
  readonly #told = new Set<string>();
  #over = false;
  sent = 0;
  taken = 0;
  /** Answered 503, or cut off (a connection that stood idle for too long): a provider sends it again. */
  refused = 0;

  /** @param copies of each payment, each time that its books are looked at */
  constructor(copies: number) {
    this.#copies = copies;
  }

  get payments(): number {
    return this.#told.size;
  }

  stop(): void {
    this.#over = true;
  }

  /** Until it is stopped. Rejects where one is answered with anything but 204 and 503. */
  async run(cluster: Cluster, portOf: () => number): Promise<void> {
    while (!this.#over) {
      const payments = await cluster.provider.payments();
      // Some that are new, some of long ago.
      const some = shuffled(payments).slice(0, 40);
      const letters = shuffled(some.flatMap((payment) => this.#letters(payment)));
      await inParallel(letters.length, 8, async (index) => {
        const [id, notice] = letters[index] as readonly [string, PaymentNotice];
        const answer = await post(portOf(), id, notice).catch(() => null);
        this.sent++;
        if (answer?.status === 204) this.taken++;
        else this.refused++;
        assert.ok(
          answer === null || answer.status === 204 || answer.status === 503,
          `${answer?.status} ${answer?.text}`,
        );
      });
      await pause(50);
    }
  }

  #letters({ reference, state }: BookedPayment): (readonly [string, PaymentNotice])[] {
    this.#told.add(reference);
    return Array.from({ length: this.#copies }, (_, index) => {
      const said = index < 2 ? state : (STATES[Math.floor(Math.random() * STATES.length)] ?? state);
      return [`msg_${reference}`, { type: `payment.${said}`, reference, paymentId: 'pay_of_nobody', state: said }];
    });
  }
}

async function post(port: number, id: string, notice: PaymentNotice): Promise<{ status: number; text: string }> {
  const body = JSON.stringify(notice);
  const answer = await fetch(`http://127.0.0.1:${port}/v1/webhooks/payments`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...signNotice(NOTICE_SECRET, id, body, Date.now()) },
  });
  return { status: answer.status, text: await answer.text() };
}

function shuffled<T>(items: readonly T[]): T[] {
  const all = [...items];
  for (let at = all.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [all[at], all[other]] = [all[other] as T, all[at] as T];
  }
  return all;
}
