/** The hub with sockets over a model of a connection: a reader that may stop, a buffer that fills, frames that arrive in order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../runtime/manual-clock.ts';
import { FeedHub } from './feed-hub.ts';
import { CLOSE_TOO_SLOW, FEED_LIMITS, type Frame, type ServerMessage } from './feed-protocol.ts';
import { type FeedSocket, newFeedStats, type Wire } from './feed-socket.ts';
import { StockCache, type StockRow } from './stock-cache.ts';

const LIMITS = { ...FEED_LIMITS, stallBytes: 300, bufferBytesMax: 600, subscriptionsPerSocketMax: 8 };

class Reader implements Wire {
  readonly told: ServerMessage[] = [];
  socket: FeedSocket | undefined;
  closedWith: number | undefined;
  reading = true;
  bytes = 0;
  bytesMost = 0;
  readonly #leave: (socket: FeedSocket) => void;

  constructor(leave: (socket: FeedSocket) => void) {
    this.#leave = leave;
  }
  send({ data }: Frame): boolean {
    assert.equal(this.closedWith, undefined, 'nothing is sent after a close');
    if (this.bytes > LIMITS.bufferBytesMax) return false;
    this.told.push(JSON.parse(new TextDecoder().decode(data)) as ServerMessage);
    if (!this.reading) this.bytes += data.length;
    this.bytesMost = Math.max(this.bytesMost, this.bytes);
    return true;
  }
  buffered = () => this.bytes;
  cork = (write: () => void) => write();
  close(code: number): void {
    this.closedWith = code;
    if (this.socket) this.#leave(this.socket);
  }
}

function world(readers: number) {
  const clock = new ManualClock();
  const rows = new Map<string, StockRow>();
  const load = async (skus: readonly string[]) => skus.flatMap((sku) => rows.get(sku) ?? []);
  const stock = new StockCache({ load, clock });
  const stats = newFeedStats();
  const onError = (error: unknown) => {
    throw error;
  };
  const skuExists = (sku: string) => sku.length === 1;
  const hub = new FeedHub({ stock, skuExists, clock, limits: LIMITS, stats, onError });
  stock.start();
  const all = Array.from({ length: readers }, () => {
    const reader = new Reader((socket) => hub.leave(socket));
    reader.socket = hub.join(reader, 'stampede.v1.json');
    return { reader, socket: reader.socket };
  });
  /** Commits a new level; the news of it may be lost. */
  const change = (sku: string, heard = true) => {
    const version = (rows.get(sku)?.version ?? 0) + 1;
    rows.set(sku, { sku, available: version * 10, version });
    if (heard) stock.apply({ table: 'stock', key: sku, version, doc: { available: version * 10 } });
  };
  const subscribe = (socket: FeedSocket, skus: string[], since = new Map<string, number>()) =>
    hub.receive(socket, { type: 'subscribe', skus, since });
  return { clock, rows, stock, stats, hub, all, change, subscribe };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise(setImmediate);
}

const levels = (told: readonly ServerMessage[], sku: string) =>
  told.flatMap((m) => ((m.type === 'snapshot' || m.type === 'stock') && m.sku === sku ? [m] : []));

function only<T>(list: readonly T[]): T {
  const [first] = list;
  assert.ok(first !== undefined);
  return first;
}

describe('the feed hub', () => {
  it('answers each subscription once, and then tells changes', async () => {
    const { all, change, subscribe, clock } = world(1);
    const { reader, socket } = only(all);
    change('a');
    subscribe(socket, ['a', 'b', 'nope']);
    await turns();
    assert.deepEqual(reader.told, [
      { type: 'error', code: 'sku_unknown', detail: 'There is no such sku.', sku: 'nope' },
      { type: 'snapshot', sku: 'a', available: 10, version: 1 },
      { type: 'snapshot', sku: 'b', available: 0, version: 0 },
    ]);
    change('a');
    clock.advance(0);
    const at = new Date(clock.now()).toISOString();
    assert.deepEqual(reader.told.at(-1), { type: 'stock', sku: 'a', available: 20, version: 2, at });
  });

  it('tells many changes within a tick as one, encoded once for all followers', async () => {
    const { all, change, subscribe, clock, stats } = world(50);
    for (const { socket } of all) subscribe(socket, ['a']);
    await turns();
    change('a');
    clock.advance(0);
    const encoded = stats.framesEncoded;
    for (let i = 0; i < 100; i++) change('a');
    clock.advance(LIMITS.tickMs - 1);
    for (const { reader } of all)
      assert.deepEqual(
        levels(reader.told, 'a').map((m) => m.version),
        [0, 1],
      );
    clock.advance(1);
    for (const { reader } of all)
      assert.deepEqual(
        levels(reader.told, 'a').map((m) => m.version),
        [0, 1, 101],
      );
    assert.equal(stats.framesEncoded - encoded, 1);
  });

  it('tells a change that comes between two slices of a tick with the next tick', async () => {
    const { all, change, subscribe, clock } = world(1_100);
    for (const { socket } of all) subscribe(socket, ['a']);
    await turns();
    change('a');
    clock.advance(0);
    const told = (version: number) =>
      all.filter(({ reader }) => levels(reader.told, 'a').at(-1)?.version === version).length;
    assert.ok(told(1) > 0 && told(1) < all.length);
    change('a');
    await turns();
    clock.advance(LIMITS.tickMs);
    await turns();
    assert.equal(told(2), all.length);
  });

  it('confirms a version that the client has, and tells the level where it has an older one or one of another shop', async () => {
    const { all, change, subscribe } = world(1);
    const { reader, socket } = only(all);
    for (let i = 0; i < 5; i++) for (const sku of ['a', 'b', 'c']) change(sku);
    subscribe(
      socket,
      ['a', 'b', 'c'],
      new Map([
        ['a', 5],
        ['b', 4],
        ['c', 99],
      ]),
    );
    await turns();
    assert.deepEqual(reader.told, [
      { type: 'current', sku: 'a', version: 5 },
      { type: 'snapshot', sku: 'b', available: 50, version: 5 },
      { type: 'snapshot', sku: 'c', available: 50, version: 5 },
    ]);
  });

  it('believes a client that is ahead of this copy, once the table says so too', async () => {
    const { all, change, subscribe, stock, clock } = world(1);
    const { reader, socket } = only(all);
    change('a');
    await stock.ensure(['a']);
    change('a', false);
    subscribe(socket, ['a'], new Map([['a', 2]]));
    await turns();
    change('a');
    clock.advance(LIMITS.tickMs);
    assert.deepEqual(
      reader.told.map((m) => [m.type, 'version' in m ? m.version : 0]),
      [
        ['current', 2],
        ['stock', 3],
      ],
    );
  });

  it('tells a change whose news was lost within one comparison with the table', async () => {
    const { all, change, subscribe, clock } = world(1);
    const { reader, socket } = only(all);
    subscribe(socket, ['a']);
    await turns();
    change('a', false);
    clock.advance(2_000);
    await turns();
    clock.advance(LIMITS.tickMs);
    assert.equal(levels(reader.told, 'a').at(-1)?.version, 1);
  });

  it('takes all of a message or nothing where the subscriptions would be too many', async () => {
    const { all, subscribe, stats } = world(1);
    const { reader, socket } = only(all);
    subscribe(socket, [...'abcdefg']);
    subscribe(socket, [...'hij']);
    await turns();
    const error = reader.told.find((m) => m.type === 'error');
    assert.equal(error?.code, 'subscription_limit');
    assert.equal(stats.subscriptions, 7);
    subscribe(socket, [...'gh']);
    await turns();
    assert.equal(stats.subscriptions, 8);
  });

  it('sends a stalled reader snapshots of what it missed when it drains, and nothing twice', async () => {
    const { all, change, subscribe, clock, stats } = world(1);
    const { reader, socket } = only(all);
    subscribe(socket, ['a', 'b', 'c']);
    await turns();
    reader.reading = false;
    for (let i = 0; i < 20; i++) {
      for (const sku of ['a', 'b']) change(sku);
      clock.advance(LIMITS.tickMs);
    }
    assert.equal(socket.state, 'stalled');
    assert.equal(stats.stalled, 1);
    assert.ok(reader.bytesMost <= LIMITS.stallBytes + 100);
    const before = reader.told.length;
    reader.bytes = 100;
    socket.drained(clock.monotonic());
    change('a');
    clock.advance(LIMITS.tickMs);
    assert.equal(reader.told.length, before, 'a buffer that has not drained gets nothing more');
    reader.reading = true;
    reader.bytes = 0;
    socket.drained(clock.monotonic());
    const after = reader.told.slice(before).map((m) => [m.type, 'sku' in m && m.sku, 'version' in m && m.version]);
    assert.deepEqual(after.sort(), [
      ['snapshot', 'a', 21],
      ['snapshot', 'b', 20],
    ]);
    assert.equal(socket.state, 'flowing');
    change('c');
    clock.advance(LIMITS.tickMs);
    assert.equal(reader.told.at(-1)?.type, 'stock');
  });

  it('closes a reader that does not drain in time, and one that asks on without reading', async () => {
    const { all, change, subscribe, clock, hub, stats } = world(2);
    for (const { reader, socket } of all) {
      subscribe(socket, ['a']);
      await turns();
      reader.reading = false;
    }
    for (let i = 0; i < 20; i++) {
      change('a');
      clock.advance(LIMITS.tickMs);
    }
    const [slow, asking] = all;
    assert.ok(slow && asking);
    for (let i = 0; i < 50 && asking.reader.closedWith === undefined; i++) hub.receive(asking.socket, { type: 'ping' });
    assert.equal(asking.reader.closedWith, CLOSE_TOO_SLOW);
    slow.socket.checkStall(clock.monotonic());
    assert.equal(slow.reader.closedWith, undefined);
    clock.advance(LIMITS.stallMsMax + 1);
    slow.socket.checkStall(clock.monotonic());
    assert.equal(slow.reader.closedWith, CLOSE_TOO_SLOW);
    assert.deepEqual([stats.closedSlow, stats.stalled, stats.subscriptions, hub.topics], [2, 0, 0, 0]);
  });

  it('keeps little for a stalled reader that subscribes and unsubscribes on and on', async () => {
    const { all, change, subscribe, clock, hub } = world(1);
    const { reader, socket } = only(all);
    subscribe(socket, ['a']);
    await turns();
    reader.reading = false;
    for (let i = 0; i < 20; i++) {
      change('a');
      clock.advance(LIMITS.tickMs);
    }
    assert.equal(socket.state, 'stalled');
    for (let i = 0; i < 500; i++) {
      subscribe(socket, ['b', 'c']);
      await Promise.resolve();
      await turns();
      hub.receive(socket, { type: 'unsubscribe', skus: ['b', 'c'] });
    }
    assert.ok(socket.behind < 100, `${socket.behind} kept`);
  });

  it('answers a subscription that the table could not serve as soon as it can', async () => {
    const clock = new ManualClock();
    let away = true;
    const load = async () => {
      if (away) throw new Error('away');
      return [{ sku: 'a', available: 4, version: 2 }];
    };
    const stock = new StockCache({ load, clock });
    stock.start();
    const onError = (error: unknown) => assert.fail(String(error));
    const hub = new FeedHub({ stock, skuExists: () => true, clock, limits: LIMITS, stats: newFeedStats(), onError });
    const reader = new Reader((socket) => hub.leave(socket));
    const socket = hub.join(reader, 'stampede.v1.json');
    hub.receive(socket, { type: 'subscribe', skus: ['a'], since: new Map() });
    await turns();
    assert.deepEqual(
      reader.told.map((m) => m.type === 'error' && m.code),
      ['database_unavailable'],
    );
    away = false;
    clock.advance(2_000);
    await turns();
    clock.advance(LIMITS.tickMs);
    assert.deepEqual(reader.told.at(-1), { type: 'snapshot', sku: 'a', available: 4, version: 2 });
  });

  it('refuses messages past the allowance, and finds who goes on regardless', () => {
    const { all, clock } = world(1);
    const { socket } = only(all);
    const take = () => socket.admit(clock.monotonic());
    for (let i = 0; i < LIMITS.messagesBurst; i++) assert.equal(take(), 'ok');
    assert.equal(take(), 'over');
    clock.advance(1_000);
    for (let i = 0; i < LIMITS.messagesPerSecond - 1; i++) assert.equal(take(), 'ok');
    for (let i = 0; i < LIMITS.messagesBurst; i++) take();
    assert.equal(take(), 'abuse');
  });
});

describe('whatever happens in whatever order', () => {
  const sku = fc.constantFrom('a', 'b', 'c', 'd');
  const skus = fc.uniqueArray(sku, { minLength: 1 });
  const who = fc.nat({ max: 2 });
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('change' as const), skus, heard: fc.boolean() }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('subscribe' as const),
        who,
        skus,
        since: fc.option(fc.nat({ max: 12 }), { nil: undefined }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), who, sku }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('stop' as const), who }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), who, bytes: fc.nat({ max: 700 }) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 120 }) }) },
  );

  it('a socket is told growing versions of a sku, never one twice, ends on the newest, and holds little memory', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { all, change, subscribe, hub, clock, rows, stock } = world(3);
        // Where each socket's present subscription of each sku began in what it was told.
        const begun = all.map(() => new Map<string, number>());
        const drain = (index: number, bytes: number) => {
          const one = all[index];
          if (one === undefined || one.reader.bytes === 0) return;
          one.reader.bytes = Math.max(0, one.reader.bytes - bytes);
          one.socket.drained(clock.monotonic());
        };
        for (const [index, { socket }] of all.entries()) {
          subscribe(socket, [...'abcd']);
          for (const name of 'abcd') begun[index]?.set(name, 0);
        }
        for (const now of steps) {
          const one = 'who' in now ? all[now.who] : undefined;
          if (now.do === 'change') for (const name of now.skus) change(name, now.heard);
          else if (now.do === 'wait') clock.advance(now.ms);
          else if (one === undefined || one.reader.closedWith !== undefined) continue;
          else if (now.do === 'stop') one.reader.reading = false;
          else if (now.do === 'read') drain(now.who, now.bytes);
          else if (now.do === 'unsubscribe') {
            hub.receive(one.socket, { type: 'unsubscribe', skus: [now.sku] });
            begun[now.who]?.delete(now.sku);
          } else {
            const { since } = now;
            for (const name of now.skus)
              if (!one.socket.subscriptions.has(name)) begun[now.who]?.set(name, one.reader.told.length);
            subscribe(one.socket, now.skus, new Map(since === undefined ? [] : now.skus.map((name) => [name, since])));
          }
          await turns();
        }
        for (const { reader } of all) reader.reading = true;
        for (let round = 0; round < 4; round++) {
          for (const index of all.keys()) drain(index, Number.POSITIVE_INFINITY);
          clock.advance(2_000);
          await turns();
          clock.advance(LIMITS.tickMs);
        }
        for (const [index, { reader, socket }] of all.entries()) {
          assert.ok(reader.bytesMost <= LIMITS.bufferBytesMax + 150);
          if (reader.closedWith !== undefined) continue;
          assert.equal(socket.behind, 0);
          for (const [name, from] of begun[index] ?? []) {
            const told = reader.told.slice(from).filter((m) => 'sku' in m && m.sku === name && m.type !== 'error');
            const versions = levels(told, name).map((m) => m.version);
            assert.deepEqual(
              versions,
              [...new Set(versions)].sort((x, y) => x - y),
            );
            const last = told.at(-1);
            assert.ok(last !== undefined && 'version' in last);
            assert.equal(last.version, rows.get(name)?.version ?? 0);
          }
        }
        stock.close();
      }),
      { numRuns: 150 },
    );
  });
});
