import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { docsRoutes } from './docs.ts';
import type { Edge } from './edge.ts';
import { healthRoutes, metricsRoutes, type Readiness } from './health.ts';
import { Metrics } from './metrics.ts';
import { PROBLEMS } from './problem.ts';
import { parseRateLimits } from './rate-limits.ts';
import { SampleWorld, sampleRoutes, startSample } from './sample-edge.ts';

describe('pages and probes', () => {
  let edge: Edge;
  let base: string;
  let readiness: Readiness = { ready: false, reasons: ['the journal is not open'] };
  let orders = 1;
  before(async () => {
    const described = sampleRoutes(new SampleWorld());
    const metrics = new Metrics();
    metrics.registerStats('shop', () => ({ orders, openCarts: 7 }));
    const routes = [
      ...described,
      ...docsRoutes(described, { version: '1.2.3' }),
      ...healthRoutes(() => readiness),
      ...metricsRoutes(metrics),
    ];
    const sample = await startSample({ routes, metrics, rateLimits: parseRateLimits('network=40/60') });
    edge = sample.edge;
    base = `http://127.0.0.1:${sample.port}`;
  });
  after(() => edge.close());
  const ask = (path: string) => fetch(`${base}${path}`, { redirect: 'manual' });

  test('the root sends a browser to the docs', async () => {
    const answer = await ask('/');
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.get('location'), '/docs');
  });

  test('the docs run no script but files of this server, and every file that they name is there', async () => {
    const answer = await ask('/docs');
    const policy = answer.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'; script-src 'self';/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
    const page = await answer.text();
    assert.ok(!/<script>|javascript:|https?:\/\//.test(page));
    const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    assert.equal(named.length, 4);
    for (const path of named) {
      const file = await ask(path);
      assert.equal(file.status, 200, path);
      assert.notEqual(file.headers.get('content-type'), 'application/json', path);
      assert.ok((await file.arrayBuffer()).byteLength > 50);
    }
    assert.match(await (await ask('/docs/initializer.js')).text(), /validatorUrl: null/);
  });

  test('no other file can be named', async () => {
    for (const name of ['package.json', '..%2f..%2fpackage.json', '%2e%2e%2fpackage.json', 'constructor', 'index.html'])
      assert.equal((await ask(`/docs/${name}`)).status, 404, name);
  });

  test("every problem's type leads to its line on the page of problems", async () => {
    const page = await (await ask('/docs/problems')).text();
    for (const code of Object.keys(PROBLEMS)) assert.ok(page.includes(`id="${code}"`), code);
  });

  test('the document is served as it is generated', async () => {
    const document = (await (await ask('/openapi.json')).json()) as { openapi: string; paths: object };
    assert.equal(document.openapi, '3.1.0');
    assert.ok('/echo' in document.paths && !('/docs' in document.paths) && !('/healthz' in document.paths));
  });

  test('a process that lives is healthy; it is ready when it says so', async () => {
    assert.equal((await ask('/healthz')).status, 200);
    const not = await ask('/readyz');
    assert.equal(not.status, 503);
    assert.ok(not.headers.get('retry-after'));
    const problem = (await not.json()) as { code: string; reasons: string[] };
    assert.deepEqual([problem.code, problem.reasons], ['not_ready', ['the journal is not open']]);
    readiness = { ready: true, reasons: [] };
    assert.equal((await ask('/readyz')).status, 200);
  });

  test('metrics show the numbers of the moment, latencies by route and the process', async () => {
    await ask('/things/1');
    orders = 2;
    const answer = await ask('/metrics');
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    const text = await answer.text();
    assert.match(text, /^stampede_shop_orders 2$/m);
    assert.match(text, /^stampede_shop_open_carts 7$/m);
    const series = 'method="GET",route="/things/{id}",status="2xx"';
    assert.ok(text.includes(`stampede_http_request_duration_seconds_count{${series}} 1`), text.slice(0, 2_000));
    assert.match(text, /stampede_http_request_duration_seconds_bucket\{.*route="\/things\/\{id\}".*le="\+Inf".*\} 1/);
    assert.match(text, /^# TYPE stampede_http_request_duration_seconds histogram$/m);
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
  });

  test('probes are never limited', async () => {
    let limited = 0;
    for (let i = 0; i < 60; i++) if ((await ask('/things/1')).status === 429) limited++;
    assert.ok(limited > 0);
    for (const path of ['/healthz', '/readyz', '/metrics']) assert.equal((await ask(path)).status, 200, path);
  });
});
