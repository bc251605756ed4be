import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { SystemClock } from '../runtime/system-clock.ts';
import { createEdge, type EdgeOptions } from './edge.ts';
import { parseRateLimits } from './rate-limits.ts';
import { get, post, RawClient } from './raw-client.ts';
import { SAMPLE_ADMIN_KEY, type SampleEdge, SampleWorld, sampleRoutes, startSample, until } from './sample-edge.ts';
import { loadUws } from './uws.ts';

const LINE = '{"sku":"A-1","quantity":2}';
const codeOf = (answer: { body: string }) => JSON.parse(answer.body).code;

describe('the life of an edge', () => {
  const started: SampleEdge[] = [];
  const start = async (options: Partial<EdgeOptions> = {}) => {
    const sample = await startSample(options);
    started.push(sample);
    return sample;
  };
  after(() => {
    for (const { edge } of started) edge.close();
  });

  test('a drain under load answers every request that was accepted, takes no new connection, and tells clients to leave', async () => {
    const { edge, port, world } = await start();
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(port)));
    for (const [index, client] of clients.entries()) client.write(post('/slow', `{"sku":"S-${index}","quantity":1}`));
    await until(() => world.waiting === 100, 'all requests');
    const drained = edge.drain(20_000);
    await assert.rejects(RawClient.connect(port));
    world.letGo();
    for (const [index, client] of clients.entries()) {
      const answer = await client.answer();
      assert.equal(JSON.parse(answer.body).sku, `S-${index}`);
      assert.equal(answer.headers.connection, 'close');
      await client.closed();
    }
    await drained;
    assert.equal(edge.stats.connections, 0);
    assert.equal(edge.stats.status2xx, 100);
  });

  test('a draining edge still serves open connections, and is done without waiting for idle ones', async () => {
    const { edge, port } = await start({ limits: { drainQuietMs: 100 } });
    const [busy, idle] = [await RawClient.connect(port), await RawClient.connect(port)];
    await until(() => edge.stats.connections === 2, 'both connections');
    const drained = edge.drain(60_000);
    busy.write(get('/things/1', {}, 'HEAD') + get('/things/1'));
    assert.equal((await busy.answer(true)).headers.connection, 'close');
    assert.equal((await busy.answer()).status, 200);
    await drained;
    edge.close();
    await Promise.all([busy.closed(), idle.closed()]);
  });

  test('a drain ends after its grace though a handler never returns', async () => {
    const { edge, port, world } = await start();
    const client = await RawClient.connect(port);
    client.write(post('/slow', LINE));
    await until(() => world.waiting === 1, 'the request');
    await edge.drain(50);
    assert.equal(edge.stats.inFlight, 1);
    edge.close();
    await client.closed();
    world.letGo();
    await until(() => edge.stats.dropped === 1, 'the late answer');
  });

  test('an exclusive port is refused to a second edge, and listening can be tried again elsewhere', async () => {
    const { port } = await start();
    const second = createEdge({
      routes: sampleRoutes(new SampleWorld()).filter(({ access }) => access === 'none'),
      rateLimits: 'off',
      log: { warn: () => {}, error: () => {} },
      clock: new SystemClock(),
      exclusive: true,
    });
    await assert.rejects(second.listen('127.0.0.1', port), /cannot listen on 127\.0\.0\.1/);
    assert.notEqual(await second.listen('127.0.0.1', 0), port);
    second.close();
  });

  for (const sent of [0, 5]) {
    test(`a body of which ${sent} bytes came in time is answered 408 and its connection ends`, async () => {
      const { edge, port } = await start({ limits: { bodyTimeoutMs: 50 } });
      const client = await RawClient.connect(port);
      const whole = post('/echo', LINE);
      client.write(whole.subarray(0, whole.length - LINE.length + sent));
      const answer = await client.answer();
      assert.equal(codeOf(answer), 'request_timeout');
      assert.equal(answer.status, 408);
      await client.closed();
      assert.equal(edge.stats.inFlight, 0);
    });
  }

  test('over the bound of requests under way the answer is 503 overloaded, and those under way are served', async () => {
    const { edge, port, world } = await start({ limits: { inFlightMax: 3 } });
    const clients = await Promise.all(Array.from({ length: 3 }, () => RawClient.connect(port)));
    for (const client of clients) client.write(post('/slow', LINE));
    await until(() => world.waiting === 3, 'the requests');
    const refused = await RawClient.once(port, post('/slow', LINE));
    assert.equal(codeOf(refused), 'overloaded');
    assert.equal(refused.headers['retry-after'], '1');
    world.letGo();
    for (const client of clients) assert.equal((await client.answer()).status, 200);
    assert.equal(edge.stats.overloaded, 1);
    assert.equal((await RawClient.once(port, post('/echo', LINE))).status, 200);
    for (const client of clients) client.destroy();
  });

  test('over the bound of connections new ones are closed and old ones go on', async () => {
    const { port, edge } = await start({ limits: { connectionsMax: 2 } });
    const old = await Promise.all([RawClient.connect(port), RawClient.connect(port)]);
    await until(() => edge.stats.connections === 2, 'both connections');
    const third = await RawClient.connect(port);
    assert.equal(await third.closed(), '');
    for (const client of old) {
      client.write(get('/things/1'));
      assert.equal((await client.answer()).status, 200);
      client.destroy();
    }
  });

  test('a network over its limit hears 429 with when to come back and what the limit is', async () => {
    const { port } = await start({ rateLimits: parseRateLimits('default=3/60') });
    const client = await RawClient.connect(port);
    for (let i = 0; i < 3; i++) {
      client.write(get('/things/1'));
      assert.equal((await client.answer()).status, 200);
    }
    client.write(get('/things/1'));
    const refused = await client.answer();
    assert.equal(refused.status, 429);
    assert.equal(codeOf(refused), 'rate_limited');
    assert.equal(refused.headers['ratelimit-policy'], '"default";q=3;w=60');
    assert.match(refused.headers.ratelimit ?? '', /^"default";r=0;t=\d+$/);
    assert.ok(Number(refused.headers['retry-after']) >= 1 && Number(refused.headers['retry-after']) <= 20);
    client.destroy();
  });

  test('a made-up credential buys no new counter where none is asked for; a token has its own where one is', async () => {
    const { port } = await start({ rateLimits: parseRateLimits('default=1/60,checkout=1/60') });
    const status = async (request: string | Buffer) => (await RawClient.once(port, request)).status;
    assert.equal(await status(get('/things/1', { authorization: 'Bearer a' })), 200);
    assert.equal(await status(get('/things/1', { authorization: 'Bearer b' })), 429);
    assert.equal(await status(post('/opened', '', { authorization: 'Bearer a' })), 200);
    assert.equal(await status(post('/opened', '', { authorization: 'Bearer b' })), 200);
    assert.equal(await status(post('/opened', '', { authorization: 'Bearer a' })), 429);
  });

  test('the limit of a network counts every request, whatever its route', async () => {
    const { port, edge } = await start({ rateLimits: parseRateLimits('network=2/60') });
    const statuses = [];
    for (const path of ['/things/1', '/bad/empty', '/things/2'])
      statuses.push((await RawClient.once(port, get(path))).status);
    assert.deepEqual(statuses, [200, 204, 429]);
    assert.equal(edge.stats.rateLimited, 1);
  });

  test('X-Forwarded-For is believed from a trusted proxy only', async () => {
    const forwarded = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9' };
    const ip = async (port: number) =>
      JSON.parse((await RawClient.once(port, get('/things/1', forwarded))).body).clientIp;
    assert.equal(await ip((await start()).port), '127.0.0.1');
    assert.equal(await ip((await start({ trustedProxies: ['127.0.0.0/8'] })).port), '203.0.113.9');
    assert.equal(await ip((await start({ trustedProxies: ['10.0.0.0/8'] })).port), '127.0.0.1');
  });

  test('an edge is not made of routes that cannot be guarded', () => {
    const options = {
      rateLimits: parseRateLimits(null),
      log: { warn: () => {}, error: () => {} },
      clock: new SystemClock(),
      exclusive: true,
    };
    const routes = sampleRoutes(new SampleWorld());
    assert.throws(() => createEdge({ ...options, routes }), /operator/);
    const [echo] = routes;
    assert.ok(echo);
    assert.throws(() => createEdge({ ...options, routes: [echo, echo] }), /twice/);
    assert.throws(() => createEdge({ ...options, routes: [{ ...echo, limit: 'no_such' }] }), /no_such/);
  });

  test('an operator below the role that a route asks for is forbidden', async () => {
    const adminKeys = { roleOf: (bearer: string | null) => (bearer === SAMPLE_ADMIN_KEY ? 'viewer' : null) };
    const { port } = await start({ adminKeys });
    const headers = { 'content-type': 'text/csv', authorization: `Bearer ${SAMPLE_ADMIN_KEY}` };
    const answer = await RawClient.once(port, post('/admin/import', 'a', headers));
    assert.equal(answer.status, 403);
    assert.equal(codeOf(answer), 'forbidden');
  });
});

describe('the loader', () => {
  const build = { App: () => ({}) };

  test('takes the newest build that loads', () => {
    assert.equal(loadUws(() => build).name, 'uWebSockets.js-next');
  });

  test('falls back to the older build', () => {
    const loaded = loadUws((name) => {
      if (name.endsWith('-next')) throw new Error('glibc');
      return build;
    });
    assert.equal(loaded.name, 'uWebSockets.js');
    assert.equal(loaded.uws, build);
  });

  test('says in one line what is needed where none loads', () => {
    assert.throws(
      () =>
        loadUws(() => {
          throw new Error('no binary');
        }),
      (error: Error) => /needs Node 20 or 22/.test(error.message) && !error.message.includes('\n'),
    );
  });
});
