/**
 * What is said to one peer in one turn of the event loop, put into as few messages as the size cap allows. It promises that each item's
 * sender is told once what became of its message, and that no more than `unsentBytes` wait for the bus: what is over is dropped
 * as if it were lost on the way, because whoever waits for it asks again.
 */
import type { Bus } from './bus.ts';
import { encodeMessage, messageOverhead } from './peers-protocol.ts';

/** Whoever wants to know what became of an item. */
export interface Sendable {
  /** Receivers of its message; null: nobody knows whether it was sent. */
  sent(receivers: number | null): void;
}

export interface OutboxOptions {
  readonly bus: Bus;
  readonly from: string;
  readonly to: string;
  readonly messageBytes: number;
  readonly unsentBytes: number;
  /** The lowest request of ours to this peer that still waits. */
  readonly floor: () => number;
  /** Asks for a `flush` in the next turn. */
  readonly wake: () => void;
}

export class Outbox {
  /** Plain numbers for metrics. */
  messages = 0;
  items = 0;
  dropped = 0;
  readonly #options: OutboxOptions;
  readonly #room: number;
  #queue: Uint8Array[] = [];
  #senders: (Sendable | null)[] = [];
  #unsent = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#room = options.messageBytes - messageOverhead(options.from);
  }

  get idle(): boolean {
    return this.#unsent === 0;
  }

  /** Whether an item of that size can be sent at all. */
  fits(bytes: number): boolean {
    return bytes <= this.#room;
  }

  /** The item must fit. */
  push(item: Uint8Array, sender: Sendable | null): void {
    if (this.#unsent + item.length > this.#options.unsentBytes) {
      this.dropped++;
      sender?.sent(0);
      return;
    }
    this.#unsent += item.length;
    if (this.#queue.length === 0) this.#options.wake();
    this.#queue.push(item);
    this.#senders.push(sender);
  }

  flush(): void {
    const queue = this.#queue;
    const senders = this.#senders;
    this.#queue = [];
    this.#senders = [];
    let from = 0;
    let bytes = 0;
    for (let i = 0; i < queue.length; i++) {
      const { length } = queue[i] as Uint8Array;
      if (bytes + length > this.#room) {
        this.#send(queue.slice(from, i), senders.slice(from, i), bytes);
        from = i;
        bytes = 0;
      }
      bytes += length;
    }
    if (from < queue.length)
      this.#send(from === 0 ? queue : queue.slice(from), from === 0 ? senders : senders.slice(from), bytes);
  }

  #send(items: readonly Uint8Array[], senders: readonly (Sendable | null)[], bytes: number): void {
    const { bus, from, to, floor } = this.#options;
    this.messages++;
    this.items += items.length;
    const done = (receivers: number | null): void => {
      this.#unsent -= bytes;
      for (const sender of senders) sender?.sent(receivers);
    };
    // Where the bus is known to be away nothing was sent for certain: to a caller that is as good as no receiver.
    if (!bus.connected) {
      done(0);
      return;
    }
    bus.send(to, encodeMessage(from, floor(), items)).then(done, () => done(null));
  }
}
