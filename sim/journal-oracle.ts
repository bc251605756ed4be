/**
 * Watches every commit and holds it to the invariants at once: in order without gaps, by the one writer, never oversold, one order for
 * each cart, pinned before charged, priced to the last unit. It keeps what the journal says of every actor at every sequence, by the
 * actors' own `apply`, and so can say of any answer whether it shows a state that was durable, and not an outdated one.
 */
import type { CartState } from '../actors/cart-state.ts';
import type { CouponState } from '../actors/coupon-state.ts';
import { orderDoc } from '../actors/order-document.ts';
import type { OrderEvent, OrderState } from '../actors/order-state.ts';
import { availableOf, type SkuState } from '../actors/sku-holds.ts';
import type { StockLevel } from '../actors/sku-protocol.ts';
import type { ActorRef, AnyActorType } from '../runtime/actor.ts';
import { decodeRow, decodeSnapshot, encode } from '../runtime/codec.ts';
import type { AnswerRow, EventRow, SnapshotRow } from '../runtime/journal.ts';
import type { Quote } from '../workers/quote.ts';
import type { CallRecord, CommitRecord } from './history.ts';
import { type Answer, USES_EACH, USES_MAX } from './shop.ts';

/** What was broken, by whom it was found. */
export interface Violation {
  readonly oracle: string;
  readonly message: string;
}

export type Violate = (oracle: string, message: string) => void;

/** An actor as the journal has it. */
export interface Shadow {
  readonly ref: ActorRef;
  readonly type: AnyActorType;
  state: unknown;
  seq: number;
  /** Place in the history of the commit of each sequence; index 0 is unused. */
  readonly orders: number[];
  /** What a client could be shown at each sequence. */
  readonly views: string[];
}

export class JournalOracle {
  readonly shadows = new Map<string, Shadow>();
  /** Holds whose units have left the house. */
  readonly shipped = new Set<string>();
  readonly #types: ReadonlyMap<string, AnyActorType>;
  readonly #violate: Violate;
  readonly #answers = new Map<string, AnswerRow>();
  /** Orders of each cart. */
  readonly #orders = new Map<string, Shadow[]>();

  constructor(types: readonly AnyActorType[], violate: Violate) {
    this.#types = new Map(types.map((type) => [type.type, type]));
    this.#violate = violate;
  }

  states<State>(type: string): State[] {
    return [...this.shadows.values()].filter((one) => one.ref.type === type).map((one) => one.state as State);
  }

  shadow(ref: ActorRef): Shadow {
    const name = `${ref.type}:${ref.id}`;
    let shadow = this.shadows.get(name);
    if (shadow === undefined) {
      const type = this.#types.get(ref.type);
      if (type === undefined) throw new Error(`no actor type ${ref.type}`);
      const state: unknown = type.initial(ref.id);
      shadow = { ref: { type: ref.type, id: ref.id }, type, state, seq: 0, orders: [0], views: [''] };
      shadow.views[0] = viewOf(shadow);
      this.shadows.set(name, shadow);
    }
    return shadow;
  }

  /** @param ownerOf the rows of shards, at the moment of the commit */
  committed(
    commit: CommitRecord,
    ownerOf: (shard: number) => { readonly owner: string | null; readonly epoch: number },
  ): void {
    const { batch, incarnation } = commit;
    const charging: Shadow[] = [];
    for (const row of batch.events) {
      const { owner, epoch } = ownerOf(row.shard);
      if (owner !== incarnation || epoch !== row.epoch) {
        const writer = `${incarnation} in epoch ${row.epoch}`;
        this.#violate('one writer', `${row.id}@${row.seq} was written by ${writer}; ${owner} has it in ${epoch}`);
      }
      const shadow = this.#apply(row, commit.order);
      if (shadow !== null) charging.push(shadow);
    }
    // One that has gone on in the same batch asks for no money: what an order asks for follows from what is durable.
    for (const shadow of charging) if ((shadow.state as OrderState).phase === 'charging') this.#isPinned(shadow);
    for (const row of batch.snapshots) this.#snapshot(row);
    for (const row of batch.answers) this.#answer(row);
  }

  /** Of a reply that was just given: it shows what is durable, at that version, and nothing older than when it was asked for. */
  answered(call: CallRecord): void {
    if (call.outcome?.kind !== 'reply') return;
    const told = call.outcome.value as
      | Answer
      | { readonly kind?: string; readonly stock?: StockLevel; readonly ok?: boolean };
    const shadow = this.shadow(call.ref);
    if (told.kind === 'cart' && 'version' in told) {
      const { status, lines, coupons, version, replayed } = told;
      this.#shows(call, shadow, version, JSON.stringify([status, lines, coupons]), replayed);
      this.#adds(told.quote, `the cart ${call.ref.id}`);
    } else if (told.kind === 'order' && 'order' in told && 'replayed' in told) {
      const { order } = told;
      const own = call.ref.type === 'order';
      const text = JSON.stringify([order.state, order.payment.state, order.payment.amount]);
      this.#shows(call, this.shadow({ type: 'order', id: order.id }), order.version, text, told.replayed || !own);
    } else if (told.kind === 'stock' && 'stock' in told && told.stock !== undefined) {
      const { onHand, held, allocated, available, version } = told.stock;
      const replayed = call.key !== null;
      this.#shows(call, shadow, version, JSON.stringify([onHand, held, allocated, available]), replayed);
    }
  }

  #shows(call: CallRecord, shadow: Shadow, version: number, view: string, old: boolean): void {
    const name = `#${call.number} (${call.command.kind} of ${shadow.ref.id})`;
    if (version > shadow.seq) {
      this.#violate('durable before visible', `${name} showed version ${version}, ${shadow.seq} is durable`);
      return;
    }
    if (shadow.views[version] !== view) {
      this.#violate('answers', `${name} showed ${view} at version ${version}, which is ${shadow.views[version]}`);
    }
    const next = shadow.orders[version + 1];
    if (old || next === undefined || next > call.start) return;
    // Rows that only record an answer show nothing new.
    let durable = version;
    while (durable < shadow.seq && (shadow.orders[durable + 1] ?? 0) < call.start) durable++;
    if (shadow.views[durable] === view && shadow.ref.type === 'order') return;
    this.#violate('no stale answer', `${name} showed version ${version}; ${durable} was durable before it was asked`);
  }

  #apply(row: EventRow, order: number): Shadow | null {
    const shadow = this.shadow(row);
    const { ref, type } = shadow;
    if (row.seq !== shadow.seq + 1) {
      this.#violate('in order', `${ref.id}@${row.seq} was committed after ${shadow.seq}`);
      return null;
    }
    shadow.seq = row.seq;
    shadow.orders.push(order);
    const { event } = decodeRow(row.payload);
    let charging = false;
    if (event !== null) {
      const before = ref.type === 'order' ? (shadow.state as OrderState).phase : '';
      try {
        shadow.state = type.apply(shadow.state, event, row.version, row.seq);
      } catch (error) {
        this.#violate('never oversold', `${ref.id}@${row.seq}: ${String(error)}`);
      }
      if (ref.type === 'sku') {
        this.#balances(shadow.state as SkuState);
        const { kind, holdId = '' } = event as { readonly kind: string; readonly holdId?: string };
        if (kind === 'shipped') this.shipped.add(holdId);
      }
      if (ref.type === 'coupon') this.#withinLimit(shadow.state as CouponState);
      if (ref.type === 'order') charging = this.#follow(shadow, before, event as OrderEvent);
    }
    shadow.views.push(viewOf(shadow));
    return charging ? shadow : null;
  }

  #balances(state: SkuState): void {
    let held = 0;
    let allocated = 0;
    for (const hold of state.holds.values()) {
      if (hold.status === 'confirmed') allocated += hold.quantity;
      else held += hold.quantity;
    }
    const available = availableOf(state);
    if (available < 0 || held !== state.held || allocated !== state.allocated) {
      const counted = `${state.onHand} = ${available} + ${state.held} + ${state.allocated}`;
      this.#violate('never oversold', `${state.id}: ${counted}, its holds say ${held} and ${allocated}`);
    }
  }

  #withinLimit({ id, holds, uses }: CouponState): void {
    const limit = id.includes('|') ? USES_EACH : USES_MAX;
    const taken = holds.size + uses.count;
    if (taken > limit) this.#violate('within the limit', `${id} has ${taken} uses of ${limit}`);
  }

  /** True where the order is about to be charged. */
  #follow(shadow: Shadow, before: string, event: OrderEvent): boolean {
    const state = shadow.state as OrderState;
    switch (event.kind) {
      case 'started': {
        const others = this.#orders.get(state.cartId) ?? [];
        this.#orders.set(state.cartId, [...others, shadow]);
        const live = others.filter((other) => (other.state as OrderState).phase !== 'failed');
        if (live.length > 0) {
          this.#violate('exactly one', `${state.cartId} has a second order beside ${live.map((one) => one.ref.id)}`);
        }
        return false;
      }
      case 'priced':
        this.#adds(event.quote, `the order ${state.id}`);
        return false;
      case 'confirmed':
        if (state.payment.amount > 0 && state.payment.state !== 'authorized') {
          this.#violate('exactly one', `${state.id} is confirmed and its payment is ${state.payment.state}`);
        }
        if (before !== 'confirming') this.#violate('exactly one', `${state.id} went from ${before} to confirmed`);
        return false;
      case 'charging':
        return true;
      default:
        return false;
    }
  }

  /** No money before every unit, and every use of a coupon, is held for this order without an end. */
  #isPinned(order: Shadow): void {
    const { id, lines, uses } = order.state as OrderState;
    for (const { coupon } of uses) {
      if ((this.shadow({ type: 'coupon', id: coupon }).state as CouponState).holds.has(id)) continue;
      this.#violate('pinned before charged', `${id} is charged while it holds no use of ${coupon}`);
    }
    for (const { sku, holdId, quantity } of lines) {
      const hold = (this.shadow({ type: 'sku', id: sku }).state as SkuState).holds.get(holdId);
      if (hold?.owner === id && hold.status !== 'held' && hold.quantity === quantity) continue;
      this.#violate('pinned before charged', `${id} is charged while ${holdId} of ${sku} is ${hold?.status ?? 'gone'}`);
    }
  }

  #adds(quote: Quote, whose: string): void {
    const wrong = (what: string): void => this.#violate('money is conserved', `${whose}: ${what}`);
    const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
    const { lines, discounts, shipping, taxes } = quote;
    const whole = sum(lines.map((line) => line.total)) + (shipping?.total ?? 0);
    if (whole !== quote.total) wrong(`the lines come to ${whole}, the total is ${quote.total}`);
    const off = sum(lines.map((line) => line.discount));
    if (off !== quote.discount || off !== sum(discounts.map((discount) => discount.amount))) {
      wrong(`the lines' discounts come to ${off} of ${quote.discount}`);
    }
    const taxed = sum(taxes.map((tax) => tax.amount));
    if (taxed !== quote.taxAdded + quote.taxIncluded) wrong(`the taxes come to ${taxed}`);
    const inLines = sum(lines.map((line) => line.tax + line.taxIncluded));
    if (inLines + (shipping?.tax ?? 0) + (shipping?.taxIncluded ?? 0) !== taxed)
      wrong(`the lines' taxes come to ${inLines}`);
    for (const line of lines) {
      const { subtotal, unitPrice, quantity, discount, tax, total } = line;
      const good = subtotal === unitPrice * quantity && total === subtotal - discount + tax;
      const cents = [unitPrice, discount, tax, line.taxIncluded].every((n) => Number.isSafeInteger(n) && n >= 0);
      if (!good || !cents || discount > subtotal) wrong(`the line of ${line.sku} does not add up`);
    }
  }

  #snapshot(row: SnapshotRow): void {
    const shadow = this.shadow(row);
    if (row.seq > shadow.seq) {
      this.#violate('in order', `a snapshot of ${row.id}@${row.seq} was stored, ${shadow.seq} is committed`);
    } else if (row.seq === shadow.seq) {
      const { state } = decodeSnapshot(row.payload);
      const stored = JSON.stringify(shadow.type.snapshot(shadow.type.restore(row.id, state)));
      const folded = JSON.stringify(shadow.type.snapshot(shadow.state));
      if (stored !== folded) this.#violate('in order', `the snapshot ${row.id}@${row.seq} is not what its events say`);
    }
  }

  #answer(row: AnswerRow): void {
    const name = `${row.type}:${row.id}:${row.keyHash}`;
    const before = this.#answers.get(name);
    this.#answers.set(name, row);
    if (before === undefined) return;
    this.#violate('one answer', `a second answer was recorded under ${row.keyHash} of ${row.id}`);
  }
}

function viewOf({ ref, state }: Shadow): string {
  switch (ref.type) {
    case 'cart': {
      const { status, lines, coupons } = state as CartState;
      return JSON.stringify([status, lines.map(({ sku, quantity }) => [sku, quantity]), coupons]);
    }
    case 'order': {
      const { state: shown, payment } = orderDoc(state as OrderState);
      return JSON.stringify([shown, payment.state, payment.amount]);
    }
    case 'sku': {
      const sku = state as SkuState;
      return JSON.stringify([sku.onHand, sku.held, sku.allocated, availableOf(sku)]);
    }
    case 'coupon': {
      const { holds, uses } = state as CouponState;
      return JSON.stringify([holds.size, uses.count]);
    }
    default:
      return Buffer.from(encode(state)).toString('base64');
  }
}
