/**
 * Carts that need no list: the n-th has an id and a token that follow from n. They are put into the journal by SQL, many thousand a second, as copies of
 * what one real cart left there: an event names its line and its time, never its cart. No node may have asked for such a cart before it is there.
 */

import { CartTokens } from '../http/tokens.ts';
import { shardOf } from '../runtime/shard.ts';
import { SCHEMA } from '../schema/database.ts';
import type { Arena } from './arena.ts';
import { TEST_SECRETS } from './shop-process.ts';
import { type CartHandle, cartOf, newCart } from './shopper.ts';

export interface NumberedCart {
  readonly id: string;
  readonly token: string;
}

const tokens = new CartTokens([TEST_SECRETS.TOKEN_SECRET]);
const BATCH = 20_000;

const FIRST = { cart: '0', filler: '1', empty: '2' } as const;

function idOf(place: number, kind: keyof typeof FIRST): string {
  return `cart_${FIRST[kind]}0000000-0000-7000-8000-${place.toString(16).padStart(12, '0')}`;
}

export function numberedCart(place: number): NumberedCart {
  const id = idOf(place, 'cart');
  return { id, token: tokens.issue(id) };
}

/** Brings the carts `from` to `to` − 1 into being, each with one line of the arena's sku; those that are there stay as they are. */
export async function makeNumberedCarts(arena: Arena, from: number, to: number): Promise<void> {
  const { id } = await cartOf(arena.shop, arena.sku);
  for (let start = from; start < to; start += BATCH) {
    const ids = Array.from({ length: Math.min(BATCH, to - start) }, (_, i) => idOf(start + i, 'cart'));
    await copies(arena, id, ids);
  }
}

const emptyOnes = new WeakMap<Arena, number>();

/** So many new carts without a line; none of them is in memory. */
export async function emptyCarts(arena: Arena, count: number): Promise<CartHandle[]> {
  const from = emptyOnes.get(arena) ?? 0;
  emptyOnes.set(arena, from + count);
  const { id } = await newCart(arena.shop);
  const ids = Array.from({ length: count }, (_, i) => idOf(from + i, 'empty'));
  for (let start = 0; start < count; start += BATCH) await copies(arena, id, ids.slice(start, start + BATCH));
  return ids.map((one) => ({ id: one, token: tokens.issue(one), total: null }));
}

/** Gives each of these carts what the journal has of another. */
async function copies(arena: Arena, of: string, ids: readonly string[]): Promise<void> {
  await arena.query(
    `INSERT INTO ${SCHEMA}.journal (type, id, seq, epoch, at, shard, version, payload)
      SELECT j.type, n.id, j.seq, j.epoch, j.at, n.shard, j.version, j.payload
      FROM unnest($1::text[], $2::int[]) AS n (id, shard), ${SCHEMA}.journal AS j WHERE j.type = 'cart' AND j.id = $3
      ON CONFLICT DO NOTHING`,
    [ids, ids.map((one) => shardOf('cart', one)), of],
  );
}

const FILLER_EVENTS = 100;

/** Lengthens the journal by about so many events of carts that nobody asks for, 100 each. */
export async function lengthenJournal(arena: Arena, from: number, events: number): Promise<void> {
  const { id } = await cartOf(arena.shop, arena.sku);
  const carts = Math.ceil(events / FILLER_EVENTS);
  const batch = BATCH / FILLER_EVENTS;
  const first = Math.floor(from / FILLER_EVENTS);
  for (let start = 0; start < carts; start += batch) {
    const ids = Array.from({ length: Math.min(batch, carts - start) }, (_, i) => idOf(first + start + i, 'filler'));
    await arena.query(
      `INSERT INTO ${SCHEMA}.journal (type, id, seq, epoch, at, shard, version, payload)
        SELECT j.type, n.id, s.seq, j.epoch, j.at, n.shard, j.version, j.payload
        FROM unnest($1::text[], $2::int[]) AS n (id, shard), generate_series(1, ${FILLER_EVENTS}) AS s (seq), ${SCHEMA}.journal AS j
        WHERE j.type = 'cart' AND j.id = $3 AND j.seq = LEAST(s.seq, 2)`,
      [ids, ids.map((one) => shardOf('cart', one)), id],
    );
  }
}

export async function journalLength(arena: Arena): Promise<number> {
  const [row] = await arena.query(`SELECT count(*)::int AS n FROM ${SCHEMA}.journal`);
  return Number(row?.n);
}
