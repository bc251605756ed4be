/** Stock levels between nodes: on a bus in memory that fails as it is told, and on a Redis that is killed and started again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Packr } from 'msgpackr';
import type { Bus } from '../runtime/bus.ts';
import { ManualClock } from '../runtime/manual-clock.ts';
import { MemoryNetwork } from '../runtime/memory-bus.ts';
import { shardOf } from '../runtime/shard.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { openRedisBus } from '../schema/redis-bus.ts';
import { ownRedis } from '../schema/redis-fixture.ts';
import { until } from '../schema/test-database.ts';
import { StockCache, type StockRow } from './stock-cache.ts';
import { StockNews } from './stock-news.ts';

/** The read table that all nodes share. */
class Table {
  readonly rows = new Map<string, StockRow>();
  loads = 0;
  readonly load = async (skus: readonly string[]): Promise<StockRow[]> => {
    this.loads++;
    return skus.flatMap((sku) => this.rows.get(sku) ?? []);
  };
}

function nodeOn(bus: Bus, clock: ManualClock | SystemClock, table: Table) {
  const stock = new StockCache({ load: table.load, clock });
  const news = new StockNews({ bus, stock, clock });
  const seen: string[] = [];
  stock.onChange((sku, { available, version }) => seen.push(`${sku} ${available} v${version}`));
  const movers: ((shards: readonly number[]) => void)[] = [];
  news.watch({ onMoved: (listener) => movers.push(listener) });
  return {
    bus,
    stock,
    news,
    seen,
    moved: (shards: readonly number[]) => {
      for (const mover of movers) mover(shards);
    },
    /** As the owner's commit does. `told` false: it dies before it tells. */
    commit(sku: string, version: number, available: number, told = true) {
      table.rows.set(sku, { sku, version, available });
      if (!told) return;
      const row = { table: 'stock', key: sku, version, doc: { available } };
      stock.apply(row);
      news.tell(row);
    },
  };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 6; i++) await new Promise((resolve) => setImmediate(resolve));
}

function memory() {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const table = new Table();
  const [owner, other] = ['owner', 'other'].map((name) => nodeOn(network.bus(name), clock, table)) as [
    ReturnType<typeof nodeOn>,
    ReturnType<typeof nodeOn>,
  ];
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await turns();
  };
  return { clock, network, table, owner, other, pass };
}

describe('stock news in memory', () => {
  test('a follower on another node sees the level that the owner committed', async () => {
    const { owner, other, pass } = memory();
    other.stock.follow('a');
    owner.commit('a', 3, 7);
    await pass(0);
    assert.deepEqual(other.seen, ['a 7 v3']);
  });

  test('in one tick there is one message, with each sku once at its last level', async () => {
    const { owner, other, pass, network } = memory();
    const messages: string[] = [];
    network.fate = ({ to, channel }) => {
      if (to === 'other') messages.push(channel);
      return [0];
    };
    for (const sku of ['a', 'b']) other.stock.follow(sku);
    owner.commit('a', 1, 1);
    await pass(0);
    for (let version = 2; version < 100; version++) for (const sku of ['a', 'b']) owner.commit(sku, version, version);
    await pass(49);
    assert.deepEqual(messages, ['stock']);
    await pass(1);
    assert.deepEqual(messages, ['stock', 'stock']);
    assert.deepEqual(other.seen, ['a 1 v1', 'a 99 v99', 'b 99 v99']);
  });

  test('what is more than one message may hold goes out in several', async () => {
    const { owner, other, pass, network } = memory();
    const sizes: number[] = [];
    network.fate = ({ to, bytes }) => {
      if (to === 'other') sizes.push(bytes.length);
      return [0];
    };
    const skus = Array.from({ length: 5_000 }, (_, i) => `sku-${'x'.repeat(40)}-${i}`);
    for (const sku of skus) {
      other.stock.follow(sku);
      owner.commit(sku, 1, 1);
    }
    await pass(50);
    assert.ok(sizes.length > 1 && sizes.every((size) => size <= 140 * 1024));
    assert.equal(other.seen.length, skus.length);
  });

  test('a version only grows, in whatever order news come', async () => {
    const { owner, other, pass, network } = memory();
    other.stock.follow('a');
    const late = [200, 10, 0];
    network.fate = () => [late.shift() ?? 0];
    for (const version of [1, 2, 3]) {
      owner.commit('a', version, 10 * version);
      await pass(50);
    }
    await pass(1_000);
    assert.equal(other.seen.at(-1), 'a 30 v3');
    assert.deepEqual([...other.seen], [...new Set(other.seen)].sort());
  });

  test('news of what nobody here looks at is not kept', async () => {
    const { owner, other, pass } = memory();
    owner.commit('a', 1, 1);
    await pass(50);
    assert.equal(other.stock.size, 0);
  });

  test('a level whose news was lost, or never told by an owner that died, is there within 2 s', async () => {
    const { owner, other, pass, network } = memory();
    other.stock.follow('a');
    other.stock.follow('b');
    other.stock.start();
    network.fate = () => [];
    owner.commit('a', 1, 5);
    owner.commit('b', 1, 6, false);
    await pass(1_999);
    assert.deepEqual(other.seen, []);
    await pass(1);
    assert.deepEqual(other.seen, ['a 5 v1', 'b 6 v1']);
    other.stock.close();
  });

  test('when a shard moves, its followed skus are compared at once, and no others', async () => {
    const { owner, other, pass, table } = memory();
    for (const sku of ['a', 'b']) other.stock.follow(sku);
    for (const sku of ['a', 'b', 'c']) owner.commit(sku, 1, 5, false);
    other.moved([shardOf('sku', 'a'), shardOf('sku', 'c')]);
    await pass(0);
    assert.deepEqual(other.seen, ['a 5 v1']);
    assert.equal(table.loads, 1);
  });

  test('when the bus comes back, all that is followed is compared at once', async () => {
    const { owner, other, pass, network } = memory();
    other.stock.follow('a');
    network.stop();
    owner.commit('a', 4, 5);
    await pass(100);
    assert.deepEqual(other.seen, []);
    network.start();
    await pass(0);
    assert.deepEqual(other.seen, ['a 5 v4']);
  });

  test('bytes that are no news change nothing', async () => {
    const { owner, other, pass } = memory();
    other.stock.follow('a');
    const packr = new Packr({ useRecords: false });
    for (const said of [
      null,
      [],
      [2, ['a', 1, 1]],
      [1, 'a'],
      [1, ['a', 'x', 1]],
      [1, [5, 1, 1]],
      [1, ['a', 1]],
      [1, ['a', 1, 0.5]],
    ]) {
      owner.bus.publish('stock', packr.pack(said));
    }
    owner.bus.publish('stock', Uint8Array.from([0xc1, 0xff]));
    await pass(50);
    assert.deepEqual(other.seen, []);
    owner.commit('a', 1, 9);
    await pass(50);
    assert.deepEqual(other.seen, ['a 9 v1']);
  });
});

describe('stock news on Redis', { skip: ownRedis.missing }, () => {
  test('killed and started again: levels committed meanwhile are there after the return, without another sale', async (t) => {
    const redis = await ownRedis.start();
    const clock = new SystemClock();
    const table = new Table();
    const buses = await Promise.all([0, 1].map(() => openRedisBus({ url: redis.url, clusterId: 'test', clock })));
    t.after(async () => {
      for (const bus of buses) await bus.close();
      await redis.stop();
    });
    const [owner, other] = buses.map((bus) => nodeOn(bus, clock, table)) as [
      ReturnType<typeof nodeOn>,
      ReturnType<typeof nodeOn>,
    ];
    other.stock.follow('a');
    owner.commit('a', 1, 9);
    await until(() => other.seen.length === 1, 'the first level');
    await redis.kill();
    await until(() => !owner.bus.connected && !other.bus.connected, 'the loss');
    owner.commit('a', 2, 8);
    await redis.restart();
    await until(() => other.seen.length === 2, 'the level of meanwhile');
    // The other may be back before the owner is, and read the table; what is published by an owner that is not, is lost.
    await until(() => owner.bus.connected && other.bus.connected, 'the return');
    owner.commit('a', 3, 7);
    await until(() => other.seen.length === 3, 'news again');
    assert.deepEqual(other.seen, ['a 9 v1', 'a 8 v2', 'a 7 v3']);
  });
});
