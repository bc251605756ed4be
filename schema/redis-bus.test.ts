/** The bus on a real Redis: one of its own that is killed and started again, and one behind a proxy that drops packets. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { SystemClock } from '../runtime/system-clock.ts';
import { openRedisBus, type RedisBus } from './redis-bus.ts';
import { type OwnRedis, ownRedis, type Silencer, silencer } from './redis-fixture.ts';
import { until } from './test-database.ts';

const clock = new SystemClock();
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('the bus on Redis', { skip: ownRedis.missing }, () => {
  let redis: OwnRedis;
  const buses: RedisBus[] = [];
  const open = async (url = redis.url, clusterId = 'test'): Promise<RedisBus> => {
    const bus = await openRedisBus({ url, clusterId, clock });
    buses.push(bus);
    return bus;
  };

  before(async () => {
    redis = await ownRedis.start();
  });
  after(async () => {
    for (const bus of buses) await bus.close();
    await redis.stop();
  });

  test('a message reaches the incarnation that receives it and no other, and the sender learns how many heard it', async () => {
    const [a, b] = [await open(), await open()];
    const heard: string[] = [];
    const end = await b.receive('b.1', (message) => heard.push(text(message)));
    assert.equal(await a.send('b.1', Buffer.from([0, 255, 13, 10])), 1);
    await until(() => heard.length === 1, 'the message');
    assert.equal(heard[0], text(Buffer.from([0, 255, 13, 10])));
    assert.equal(await a.send('b.2', Buffer.from('lost')), 0);
    end();
    await until(async () => (await a.send('b.1', Buffer.from('x'))) === 0, 'the end of the subscription');
    assert.equal(heard.length, 1);
  });

  test('clusters that share a Redis do not hear each other', async () => {
    const [a, b] = [await open(redis.url, 'one'), await open(redis.url, 'two')];
    await b.receive('b.1', () => assert.fail('heard'));
    assert.equal(await a.send('b.1', Buffer.from('x')), 0);
  });

  test('news reach every member, the one that tells them too', async () => {
    const [a, b] = [await open(), await open()];
    const heard: string[] = [];
    a.subscribe('shards', (message) => heard.push(`a ${text(message)}`));
    b.subscribe('shards', (message) => heard.push(`b ${text(message)}`));
    await until(() => {
      a.publish('shards', Buffer.from('look'));
      return new Set(heard).size === 2;
    }, 'the news at both');
    assert.deepEqual([...new Set(heard)].sort(), ['a look', 'b look']);
  });

  test('a message over the size cap is refused, and the bus goes on', async () => {
    const a = await open();
    await assert.rejects(a.send('x', new Uint8Array(1024 * 1024 + 1)), /over the limit/);
    assert.equal(await a.send('x', new Uint8Array(1024 * 1024)), 0);
  });

  test('killed and started again: away at once, back by itself, subscriptions in place', async () => {
    const own = await ownRedis.start();
    const [a, b] = [await open(own.url), await open(own.url)];
    const heard: string[] = [];
    const changes: boolean[] = [];
    a.onConnection((connected) => changes.push(connected));
    await b.receive('b.1', (message) => heard.push(text(message)));
    await own.kill();
    await until(() => !a.connected && !b.connected, 'the loss');
    await assert.rejects(a.send('b.1', Buffer.from('lost')), /away/);
    // Heard of while away: it is subscribed at the return.
    await b.receive('b.2', (message) => heard.push(text(message)));
    await own.restart();
    await until(() => a.connected && b.connected, 'the return');
    assert.equal(await a.send('b.1', Buffer.from('first')), 1);
    assert.equal(await a.send('b.2', Buffer.from('second')), 1);
    await until(() => heard.length === 2, 'both messages');
    assert.deepEqual(heard, ['first', 'second']);
    assert.deepEqual(changes, [false, true]);
    await own.stop();
  });

  for (const way of ['out', 'in'] as const) {
    test(`packets dropped one way (${way}): noticed, refused at once then, and mended when they pass again`, async (t) => {
      const proxy: Silencer = await silencer(redis.url);
      t.after(() => proxy.close());
      const [a, b] = [await open(proxy.url), await open()];
      const heard: string[] = [];
      await a.receive('a.1', (message) => heard.push(text(message)));
      proxy.drop(way);
      await until(() => !a.connected, 'that nothing passes');
      await assert.rejects(a.send('b.1', Buffer.from('x')), /away/);
      assert.ok(b.connected, 'the others are not concerned');
      proxy.drop('none');
      await until(() => a.connected, 'the return');
      // More than one where Redis still believes in the connection that was given up.
      assert.ok((await b.send('a.1', Buffer.from('again'))) >= 1);
      await until(() => heard.length > 0, 'the message');
      assert.deepEqual(heard, ['again']);
    });
  }

  test('a send whose answer is lost rejects, whether or not it was heard', async (t) => {
    const proxy = await silencer(redis.url);
    t.after(() => proxy.close());
    const [a, b] = [await open(proxy.url), await open()];
    const heard: string[] = [];
    await b.receive('b.1', (message) => heard.push(text(message)));
    proxy.drop('in');
    await assert.rejects(a.send('b.1', Buffer.from('heard')));
    await until(() => heard.length === 1, 'what was heard all the same');
  });

  test('a server that is not there is named in one line, without its password', async () => {
    const url = 'redis://me:secret@127.0.0.1:1';
    await assert.rejects(openRedisBus({ url, clusterId: 'test', clock }, 200), (error: Error) => {
      assert.match(error.message, /^Redis at redis:\/\/127\.0\.0\.1:1 cannot be used: .+$/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });

  test('a CLUSTER_ID belongs to one database', async () => {
    const clusterId = randomUUID();
    const [a, b] = [await open(redis.url, clusterId), await open(redis.url, clusterId)];
    await a.claimClusterId('database 1');
    await b.claimClusterId('database 1');
    await assert.rejects(b.claimClusterId('database 2'), /^Refusal: CLUSTER_ID .* is used by another database/);
  });
});
