/**
 * What must be true of a history once its faults are over and everything has come to rest: the books agree (stock, money, carts, orders,
 * outbox, read side), every caller was answered in bounded time, and what the callers were told can be explained by each actor being
 * one object (`linearizability.ts`). What must be true at every commit and answer is in `journal-oracle.ts`.
 */
import type { CartState } from '../actors/cart-state.ts';
import type { CouponState } from '../actors/coupon-state.ts';
import { orderDoc } from '../actors/order-document.ts';
import type { OrderState } from '../actors/order-state.ts';
import { availableOf, type SkuState } from '../actors/sku-holds.ts';
import type { Effect } from '../runtime/actor.ts';
import type { OutboxRow, ProjectionRow } from '../runtime/journal.ts';
import type { CallRecord, History } from './history.ts';
import type { JournalOracle, Shadow, Violate } from './journal-oracle.ts';
import { checkLinearizable, type Operation, type Specification } from './linearizability.ts';
import type { PaymentProvider } from './payments.ts';
import { cartSpecification, operationsOf, orderSpecification, skuSpecification } from './specifications.ts';

/** The world as it is at the end. */
export interface AtRest {
  readonly history: History;
  readonly journal: JournalOracle;
  readonly provider: PaymentProvider;
  /** The read side. */
  readonly projections: readonly ProjectionRow[];
}

/** Why the world is not at rest yet; null: nothing will happen any more but that open carts end, days later. */
export function unrest(journal: JournalOracle, openOutbox: readonly OutboxRow[], now: number): string | null {
  for (const { ref, type, state } of journal.shadows.values()) {
    const [effect] = (type.pending?.(state) ?? []) as readonly Effect[];
    if (effect !== undefined) return `${ref.id} waits for ${effect.id}`;
    const due = type.wakeAt?.(state) ?? null;
    if (due !== null && (due <= now || ref.type !== 'cart')) return `${ref.id} is due in ${due - now} ms`;
  }
  const [row] = openOutbox;
  return row === undefined ? null : `the outbox has ${row.id}`;
}

export function checkAtRest(world: AtRest, violate: Violate): void {
  checkStock(world, violate);
  checkCoupons(world, violate);
  checkMoney(world, violate);
  checkCarts(world, violate);
  checkReadSide(world, violate);
  checkKeys(world.history.calls, violate);
  checkOneObjectEach(world, violate);
}

function checkStock({ journal }: AtRest, violate: Violate): void {
  const orders = journal.states<OrderState>('order');
  for (const sku of journal.states<SkuState>('sku')) {
    const sold = orders
      .filter((order) => order.phase === 'confirmed')
      .flatMap((order) => order.lines)
      .filter((line) => line.sku === sku.id && !journal.shipped.has(line.holdId))
      .reduce((sum, line) => sum + line.quantity, 0);
    if (sku.allocated !== sold) {
      violate('stock is conserved', `${sku.id} has ${sku.allocated} allocated, its orders come to ${sold}`);
    }
    if (sku.held !== 0) violate('stock is conserved', `${sku.id} still has ${sku.held} held`);
    if (availableOf(sku) < 0) violate('never oversold', `${sku.id} has ${availableOf(sku)} available`);
  }
}

function checkCoupons({ journal }: AtRest, violate: Violate): void {
  const standing = journal
    .states<OrderState>('order')
    .filter((order) => order.phase === 'confirmed')
    .flatMap((order) => order.uses);
  for (const { id, holds, uses } of journal.states<CouponState>('coupon')) {
    const used = standing.filter(({ coupon }) => coupon === id).length;
    if (uses.count !== used) violate('uses are conserved', `${id} counts ${uses.count}, its orders come to ${used}`);
    if (holds.size !== 0) violate('uses are conserved', `${id} is still held by ${[...holds.keys()].join()}`);
  }
}

function checkMoney({ journal, provider }: AtRest, violate: Violate): void {
  for (const wrong of provider.wrongs) violate('exactly one', wrong);
  const known = new Set<string>();
  for (const order of journal.states<OrderState>('order')) {
    known.add(order.id);
    if (!/^(confirmed|failed|cancelled)$/.test(order.phase)) violate('liveness', `${order.id} stays ${order.phase}`);
    const open = provider
      .byReference(order.id)
      .filter((payment) => payment.state === 'authorized' || payment.state === 'captured');
    const owed = order.phase === 'confirmed' && order.payment.amount > 0 ? 1 : 0;
    if (open.length !== owed) {
      violate('exactly one', `${order.phase} ${order.id} of ${order.payment.amount} has ${open.length} open charges`);
    }
    for (const { amount } of open) {
      if (amount === order.payment.amount) continue;
      violate('money is conserved', `${order.id} of ${order.payment.amount} was charged ${amount}`);
    }
    const { state } = order.payment;
    const booked = provider.byReference(order.id)[0]?.state ?? (state === 'declined' ? 'declined' : 'none');
    if (booked !== state) violate('exactly one', `${order.id} believes ${state}, the provider has ${booked}`);
    if (order.paymentToken !== null) violate('personal data', `${order.id} keeps its payment token`);
  }
  for (const { reference } of provider.payments.values()) {
    if (!known.has(reference)) violate('durable before visible', `${reference} was charged and is no order`);
  }
}

function checkCarts({ journal }: AtRest, violate: Violate): void {
  const orders = journal.states<OrderState>('order');
  for (const cart of journal.states<CartState>('cart')) {
    const live = orders.filter((order) => order.cartId === cart.id && order.phase !== 'failed');
    const ids = live.map((order) => order.id).join(' and ');
    if (live.length > 1) violate('exactly one', `${cart.id} has ${ids}`);
    const wanted = live.length === 1 ? 'checked_out' : 'open';
    if (cart.status !== wanted) violate('exactly one', `${cart.id} is ${cart.status} with ${ids || 'no order'}`);
    if (cart.orderId !== (live[0]?.id ?? null)) violate('exactly one', `${cart.id} names ${cart.orderId}, not ${ids}`);
    if (cart.checkout !== null) violate('personal data', `${cart.id} keeps its checkout`);
    const contents = (lines: readonly { sku: string; quantity: number }[]): string =>
      lines.map(({ sku, quantity }) => `${sku}×${quantity}`).join();
    if (live[0] !== undefined && contents(live[0].lines) !== contents(cart.lines)) {
      violate('exactly one', `${ids} has ${contents(live[0].lines)}, its cart ${contents(cart.lines)}`);
    }
  }
}

function checkReadSide({ journal, projections }: AtRest, violate: Violate): void {
  const rows = new Map(projections.map((row) => [`${row.table}:${row.key}`, row]));
  for (const order of journal.states<OrderState>('order')) {
    const doc = rows.get(`orders:${order.id}`)?.doc as { readonly state?: string } | null | undefined;
    const shown = orderDoc(order).state;
    if (doc?.state !== shown) violate('read side', `${order.id} is ${shown}, its row says ${doc?.state ?? 'nothing'}`);
    if (doc !== undefined && JSON.stringify(doc).includes('contact')) violate('personal data', `${order.id}'s row`);
  }
}

/** One key, one answer: all that were recorded and told under it are the same. */
function checkKeys(calls: readonly CallRecord[], violate: Violate): void {
  const first = new Map<string, string>();
  for (const { key, ref, outcome, number } of calls) {
    if (key === null || outcome?.kind !== 'reply') continue;
    const value = outcome.value as { readonly kind?: string; readonly recorded?: boolean };
    if (value.kind === 'refused' && value.recorded !== true) continue;
    const name = `${ref.type}:${ref.id}:${key.hash}`;
    const text = JSON.stringify({ ...value, replayed: false });
    const before = first.get(name);
    if (before === undefined) first.set(name, text);
    else if (before !== text)
      violate('one answer', `#${number} heard ${text} under ${key.hash}, before it was ${before}`);
  }
}

function checkOneObjectEach({ history, journal }: AtRest, violate: Violate): void {
  const calls = new Map<string, CallRecord[]>();
  for (const call of history.calls) {
    const name = `${call.ref.type}:${call.ref.id}`;
    const list = calls.get(name);
    if (list === undefined) calls.set(name, [call]);
    else list.push(call);
  }
  for (const list of calls.values()) {
    const shadow = journal.shadow(list[0]?.ref ?? { type: 'cart', id: '' });
    switch (shadow.ref.type) {
      case 'cart':
        judge(shadow, cartSpecification, operationsOf(list), violate);
        break;
      case 'sku':
        judge(shadow, skuSpecification, operationsOf(list), violate);
        break;
      case 'order':
        judge(shadow, orderSpecification, operationsOf(list.filter(isByBuyer)), violate);
        break;
    }
  }
}

/** What jobs ask is between them and the order. */
function isByBuyer({ command }: CallRecord): boolean {
  return command.kind === 'get' || command.kind === 'cancel';
}

function judge<State, Input, Output>(
  { ref }: Shadow,
  specification: Specification<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  violate: Violate,
): void {
  const verdict = checkLinearizable(specification, operations);
  if (verdict.ok !== false) return;
  const { stuck, order } = verdict;
  const show = ({ input, output, start, end }: Operation<Input, Output>): string =>
    `[${start}–${end}] ${JSON.stringify(input)} → ${JSON.stringify(output)}`;
  const before = order.slice(-3).map(show).join('; ');
  violate('one object each', `${ref.type} ${ref.id} cannot have answered ${show(stuck)} after ${before || 'nothing'}`);
}
