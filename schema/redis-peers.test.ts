/** Calls between two members over a real Redis that is killed and started again, and over a connection that drops packets one way. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fault } from '../runtime/fault.ts';
import { Router } from '../runtime/router.ts';
import { shardOf } from '../runtime/shard.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { openRedisBus, type RedisBus } from './redis-bus.ts';
import { type OwnRedis, ownRedis, type Silencer, silencer } from './redis-fixture.ts';
import { eventually, until } from './test-database.ts';

const clock = new SystemClock();
const OWNER = 'owner.1';

interface Call {
  readonly name: string;
  readonly ends: unknown[];
}

/** An owner of everything, behind a proxy, and a member that asks it. */
class Pair {
  readonly decided = new Map<string, number>();
  readonly calls: Call[] = [];
  readonly #buses: RedisBus[] = [];
  readonly #routers: Router[] = [];

  get asker(): RedisBus {
    return this.#buses[0] as RedisBus;
  }
  get owner(): RedisBus {
    return this.#buses[1] as RedisBus;
  }

  static async open(askerUrl: string, ownerUrl: string): Promise<Pair> {
    const pair = new Pair();
    for (const [index, url] of [askerUrl, ownerUrl].entries()) {
      const bus = await openRedisBus({ url, clusterId: 'test', clock });
      const membership = { incarnation: index === 1 ? OWNER : 'asker.1', owns: () => index === 1 };
      const shards = { ownerOf: () => ({ incarnation: OWNER, epoch: 1 }), hint: () => {}, onMoved: () => {} };
      const router = new Router({ bus, clock, membership, shards });
      await router.listen(async ({ command }) => {
        pair.decided.set(String(command), (pair.decided.get(String(command)) ?? 0) + 1);
        return command;
      });
      pair.#buses.push(bus);
      pair.#routers.push(router);
    }
    return pair;
  }

  ask(timeoutMs = 2_000): Call {
    const call: Call = { name: `c${this.calls.length}`, ends: [] };
    this.calls.push(call);
    const ref = { type: 'cart', id: call.name };
    this.#routers[0]?.forward({
      ref,
      shard: shardOf(ref.type, ref.id),
      command: call.name,
      key: undefined,
      render: false,
      deadline: clock.monotonic() + timeoutMs,
      repeatable: false,
      resolve: (value) => call.ends.push(value),
      reject: (fault) => call.ends.push(fault),
      home: () => call.ends.push('home'),
    });
    return call;
  }

  /** Calls until one is answered. */
  answered(): Promise<Call> {
    return eventually(async () => {
      const call = this.ask();
      await until(() => call.ends.length > 0, 'the end of a call');
      return call.ends[0] === call.name && call;
    });
  }

  check(): { answered: number; unknown: number; refused: number } {
    const told = { answered: 0, unknown: 0, refused: 0 };
    for (const { name, ends } of this.calls) {
      const decisions = this.decided.get(name) ?? 0;
      assert.equal(ends.length, 1, `${name} ended ${ends.length} times`);
      assert.ok(decisions <= 1, `${name} was decided ${decisions} times`);
      const [end] = ends;
      if (!(end instanceof Fault)) {
        assert.equal(decisions, 1, name);
        told.answered++;
      } else if (end.code === 'outcome_unknown') {
        told.unknown++;
      } else {
        assert.equal(decisions, 0, `${name}: ${end.code}`);
        told.refused++;
      }
    }
    return told;
  }

  async close(): Promise<void> {
    for (const router of this.#routers) router.close();
    for (const bus of this.#buses) await bus.close();
  }
}

describe('calls between members on Redis', { skip: ownRedis.missing }, () => {
  let redis: OwnRedis;
  before(async () => {
    redis = await ownRedis.start();
  });
  after(() => redis.stop());

  test('Redis killed and started again under load: what is said is kept, nothing is decided twice, nobody is forgotten', async (t) => {
    const pair = await Pair.open(redis.url, redis.url);
    t.after(() => pair.close());
    const load = setInterval(() => {
      for (let i = 0; i < 20; i++) pair.ask();
    }, 5);
    for (let round = 0; round < 3; round++) {
      await pair.answered();
      await redis.kill();
      await until(() => !pair.asker.connected && !pair.owner.connected, 'the loss');
      const refused = pair.ask();
      assert.ok(refused.ends[0] instanceof Fault && refused.ends[0].code === 'shard_unavailable', 'refused at once');
      await redis.restart();
    }
    await pair.answered();
    clearInterval(load);
    await until(() => pair.calls.every(({ ends }) => ends.length > 0), 'the end of every call');
    const told = pair.check();
    assert.ok(told.answered > told.unknown, JSON.stringify(told));
  });

  for (const side of ['asker', 'owner'] as const) {
    for (const way of ['out', 'in'] as const) {
      test(`packets of the ${side} dropped one way (${way}): every call ends, and after it all goes on`, async (t) => {
        const proxy: Silencer = await silencer(redis.url);
        const pair = await (side === 'asker' ? Pair.open(proxy.url, redis.url) : Pair.open(redis.url, proxy.url));
        t.after(async () => {
          await pair.close();
          await proxy.close();
        });
        await pair.answered();
        proxy.drop(way);
        const lost = Array.from({ length: 50 }, () => pair.ask());
        const short = pair.ask(300);
        await until(() => !pair[side].connected, 'that nothing passes');
        pair.ask();
        proxy.drop('none');
        await until(() => lost.every(({ ends }) => ends.length > 0) && short.ends.length > 0, 'the end of every call');
        await pair.answered();
        await until(() => pair.calls.every(({ ends }) => ends.length > 0), 'the end of the last');
        pair.check();
      });
    }
  }

  test('a connection that Redis itself ends is opened again', async (t) => {
    const pair = await Pair.open(redis.url, redis.url);
    t.after(() => pair.close());
    await pair.answered();
    let losses = 0;
    pair.owner.onConnection((connected) => {
      if (!connected) losses++;
    });
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(() => losses === 1, 'the loss');
    await pair.answered();
    await until(() => pair.calls.every(({ ends }) => ends.length > 0), 'the end of the last');
    pair.check();
  });
});
