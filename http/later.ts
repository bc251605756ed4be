/**
 * A reply that comes later: what a promise is, for the one who waits for it, without the turns of the microtask queue and the objects
 * that a chain of promises takes (an add to a cart went through four). Settled once, taken once, in whichever order.
 *
 * States: open → settled → taken, or open → awaited → taken.
 */
import type { EdgeReply } from './reply.ts';

type Done = (reply: EdgeReply) => void;
type Failed = (error: unknown) => void;

export class Later {
  #reply: EdgeReply | null = null;
  #error: { readonly thrown: unknown } | null = null;
  #done: Done | null = null;
  #failed: Failed | null = null;

  settle(reply: EdgeReply): void {
    if (this.#done === null) this.#reply ??= reply;
    else this.#done(reply);
  }

  fail(thrown: unknown): void {
    if (this.#failed === null) this.#error ??= { thrown };
    else this.#failed(thrown);
  }

  /** For whoever goes on with other promises. */
  promise(): Promise<EdgeReply> {
    return new Promise((resolve, reject) => this.take(resolve, reject));
  }

  /** One of the two is called, once; at once where the reply is there. Neither may throw. */
  take(done: Done, failed: Failed): void {
    if (this.#reply !== null) done(this.#reply);
    else if (this.#error !== null) failed(this.#error.thrown);
    else {
      this.#done = done;
      this.#failed = failed;
    }
  }
}
