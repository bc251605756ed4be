/**
 * What shoppers were told, kept outside of the shop: the one side of every comparison after a fault. It relies on nothing of the
 * shop but its public contract, and judges each answer as it comes:
 * - an answer about a cart or an order shows at least what any answer showed before the call began (no stale read, on any node);
 * - a write that was acknowledged shows a version above all those;
 * - a cart holds at least the units that were acknowledged, and at most those and the ones whose fate is open.
 *
 * A wrong answer does not stop the load: it is noted in `violations`, which a test compares with nothing at all.
 */
import type { Answer } from './shop-process.ts';

/** Units of one sku in one cart. */
export interface Units {
  told: number;
  /** Asked for, and either under way or broken off: they may be there or not. */
  open: number;
}

export interface CartRecord {
  readonly id: string;
  readonly token: string;
  readonly units: Map<string, Units>;
  /** The highest version that any answer showed. */
  version: number;
  /** Of the last acknowledged change that was its shopper's own. */
  written: number;
  /** Once an answer said so. A cart that was checked out stays so. */
  checkedOut: boolean;
  /** Once the cart's own answer said so. */
  toldItself: boolean;
  readonly orders: OrderRecord[];
  total: { readonly amount: number; readonly currency: string } | null;
}

/** The answer to a checkout that came to an end, and what became of the order later. */
export interface OrderRecord {
  /** Null where the checkout was declined or refused. */
  readonly id: string | null;
  readonly status: number;
  readonly payWith: string;
  version: number;
  cancelled: boolean;
}

/** One call about a cart; exactly one of its ends is told. */
export interface Asked {
  answered(answer: Answer): void;
  /** It certainly had no effect. */
  refused(): void;
  /** Nobody knows whether it had an effect. */
  brokeOff(): void;
}

const VIOLATIONS_KEPT = 50;

export class Ledger {
  readonly carts: CartRecord[] = [];
  readonly violations: string[] = [];

  /** From the answer that opened it. */
  opened(answer: Answer): CartRecord {
    const cart: CartRecord = {
      id: answer.body.cart.id,
      token: answer.body.token,
      units: new Map(),
      version: answer.body.cart.version,
      written: answer.body.cart.version,
      checkedOut: false,
      toldItself: false,
      orders: [],
      total: answer.body.cart.totals.total,
    };
    this.carts.push(cart);
    return cart;
  }

  /** Before each read. */
  reading(cart: CartRecord): Asked {
    return this.#asked(cart, null);
  }

  /** Before the first try of an add; tries under one key are one call. */
  adding(cart: CartRecord, sku: string, quantity: number): Asked {
    const units = cart.units.get(sku) ?? { told: 0, open: 0 };
    cart.units.set(sku, units);
    units.open += quantity;
    return this.#asked(cart, { units, quantity });
  }

  /** Before each read of an order; the result judges its answer. */
  readingOrder(order: OrderRecord): (answer: Answer) => void {
    const floor = order.version;
    const wasCancelled = order.cancelled;
    return (answer) => {
      const { id, version, state } = answer.body;
      if (version < floor) this.note(`order ${id} went from version ${floor} back to ${version}`);
      if (wasCancelled && state !== 'cancelled') this.note(`order ${id} was cancelled and is ${state}`);
      order.version = Math.max(order.version, version);
    };
  }

  /** @param by who told: the cart hears of its order by a message, which may still be on its way when the order is looked at */
  checkedOut(cart: CartRecord, order: OrderRecord, by: 'cart' | 'order' = 'cart'): void {
    cart.orders.push(order);
    if (order.id === null || order.status !== 201) return;
    cart.checkedOut = true;
    if (by === 'cart') cart.toldItself = true;
  }

  note(violation: string): void {
    if (this.violations.length < VIOLATIONS_KEPT) this.violations.push(violation);
  }

  /** How many orders came to each status, and units acknowledged: a load that did nothing proves nothing. */
  get tally(): LedgerTally {
    const orders = this.carts.flatMap((cart) => cart.orders);
    const units = this.carts.flatMap((cart) => [...cart.units.values()]);
    return {
      carts: this.carts.length,
      unitsTold: units.reduce((sum, { told }) => sum + told, 0),
      unitsOpen: units.reduce((sum, { open }) => sum + open, 0),
      confirmed: orders.filter((order) => order.status === 201).length,
      declined: orders.filter((order) => order.status === 402).length,
      refused: orders.filter((order) => order.status === 409).length,
      cancelled: orders.filter((order) => order.cancelled).length,
    };
  }

  #asked(cart: CartRecord, adding: { readonly units: Units; readonly quantity: number } | null): Asked {
    const floor = cart.version;
    const written = cart.written;
    const { checkedOut, toldItself } = cart;
    const told = new Map([...cart.units].map(([sku, units]) => [sku, units.told]));
    return {
      answered: (answer) => {
        const { version, state, lines, totals } = answer.body;
        const replayed = answer.headers['idempotency-replayed'] === 'true';
        if (adding !== null) {
          adding.units.open -= adding.quantity;
          adding.units.told += adding.quantity;
          // Another's read may have seen this change, and more, while its answer was lost.
          const above = replayed ? written : floor;
          if (version <= above)
            this.note(`an add to ${cart.id} was acknowledged at version ${version}, after ${above} was shown`);
          cart.written = Math.max(cart.written, version);
        } else if (version < floor) {
          this.note(`a read of ${cart.id} showed version ${version}, after ${floor} was shown`);
        }
        if (!replayed) {
          const fits = state === 'checked_out' || (state === 'checking_out' && !toldItself);
          if (checkedOut && !fits) this.note(`cart ${cart.id} was checked out and is ${state}`);
          if (state === 'checked_out') cart.toldItself = true;
          for (const [sku, least] of told) this.#compareUnits(cart, sku, least, unitsIn(lines, sku));
        }
        cart.version = Math.max(cart.version, version);
        cart.total = totals.total;
      },
      refused: () => {
        if (adding !== null) adding.units.open -= adding.quantity;
      },
      brokeOff: () => {},
    };
  }

  #compareUnits(cart: CartRecord, sku: string, least: number, shown: number): void {
    const units = cart.units.get(sku) ?? { told: 0, open: 0 };
    if (shown < least) this.note(`cart ${cart.id} showed ${shown} units of ${sku}, after ${least} were acknowledged`);
    const most = units.told + units.open;
    if (shown > most) this.note(`cart ${cart.id} showed ${shown} units of ${sku}; at most ${most} were asked for`);
  }
}

export interface LedgerTally {
  readonly carts: number;
  readonly unitsTold: number;
  readonly unitsOpen: number;
  readonly confirmed: number;
  readonly declined: number;
  readonly refused: number;
  readonly cancelled: number;
}

export function unitsIn(lines: readonly { readonly sku: string; readonly quantity: number }[], sku: string): number {
  return lines.reduce((sum, line) => (line.sku === sku ? sum + line.quantity : sum), 0);
}
