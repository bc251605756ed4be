import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { isProblemCode } from './problem.ts';
import { get, post, type RawAnswer, RawClient } from './raw-client.ts';
import { SAMPLE_ADMIN_KEY, SAMPLE_BODY_MAX, type SampleEdge, startSample, until } from './sample-edge.ts';

const LINE = '{"sku":"A-1","quantity":2}';

function problemOf(answer: RawAnswer): { code: string; status: number; title: string; [member: string]: unknown } {
  assert.equal(answer.headers['content-type'], 'application/problem+json', `${answer.status} ${answer.body}`);
  const body = JSON.parse(answer.body);
  assert.equal(body.status, answer.status);
  assert.ok(isProblemCode(body.code), `${body.code} is not in the table`);
  return body;
}

describe('an edge', () => {
  let sample: SampleEdge;
  let port: number;
  before(async () => {
    sample = await startSample({ corsOrigins: ['https://shop.example'] });
    port = sample.port;
  });
  after(() => sample.edge.close());

  /** The server has survived and answers. */
  const alive = async () => assert.equal((await RawClient.once(port, post('/echo', LINE))).status, 200);

  test('a JSON body, path parameters, query and headers reach the handler parsed', async () => {
    const echoed = await RawClient.once(port, post('/echo', LINE, { 'idempotency-key': '"k 1"', 'if-match': '"7"' }));
    assert.equal(problemOf(echoed).code, 'invalid_request');
    const good = await RawClient.once(port, post('/echo', LINE, { 'idempotency-key': '"k1"', 'if-match': '"7"' }));
    assert.deepEqual(JSON.parse(good.body), { sku: 'A-1', quantity: 2, key: 'k1', ifMatch: 7, header: 'function' });
    const read = await RawClient.once(port, get('/things/a%2Fb?limit=5&all=true&skus=x,y', { 'user-agent': 'test' }));
    assert.deepEqual(JSON.parse(read.body), {
      params: { id: 'a/b' },
      query: { limit: 5, all: true, skus: ['x', 'y'] },
      clientIp: '127.0.0.1',
      agent: 'test',
    });
    assert.equal(read.headers.etag, '"1"');
    assert.equal(read.headers['x-content-type-options'], 'nosniff');
    assert.equal(read.headers['cache-control'], 'no-store');
  });

  test('no answer tells the name or version of the server', async () => {
    const answer = await RawClient.once(port, get('/things/1'));
    assert.ok(!JSON.stringify(answer.headers).toLowerCase().includes('uwebsockets'));
  });

  const smuggled = get('/things/smuggled');
  const hostile: Readonly<Record<string, string>> = {
    'two Content-Lengths that differ': 'Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde',
    'two Content-Lengths that agree': 'Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc',
    'an empty Content-Length': 'Content-Length: \r\n\r\n',
    'a Content-Length with a sign': 'Content-Length: +3\r\n\r\nabc',
    'a Content-Length in hex': 'Content-Length: 0x3\r\n\r\nabc',
    'a list of Content-Lengths': 'Content-Length: 3, 3\r\n\r\nabc',
    'a Content-Length beyond any number': 'Content-Length: 99999999999999999999\r\n\r\nabc',
    'a chunked body': 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'a chunked body with a Content-Length': 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    'an identity Transfer-Encoding': 'Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc',
    'an unknown Transfer-Encoding': 'Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc',
    'chunks that end in bare line feeds': 'Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n',
    'two hosts': 'Host: other\r\nContent-Length: 0\r\n\r\n',
    'a space before the colon': 'Content-Length : 3\r\n\r\nabc',
    'a folded header': 'X: a\r\n Content-Length: 9\r\nContent-Length: 3\r\n\r\nabc',
  };
  for (const [name, rest] of Object.entries(hostile)) {
    for (const path of ['/echo', '/things/1', '/nowhere']) {
      test(`${name} closes the connection at ${path} and what follows is never served`, async () => {
        const served = sample.world.seen.length;
        const client = await RawClient.connect(port);
        client.write(`POST ${path} HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n${rest}${smuggled}`);
        const answer = await client.closed();
        assert.ok(answer === '' || /^HTTP\/1\.1 [45]/.test(answer), answer);
        assert.ok(!answer.includes(' 200 '), answer);
        assert.equal(sample.world.seen.length, served);
        await alive();
      });
    }
  }

  for (const how of ['throw', 'reject', 'reject-nothing', 'status', 'header', 'body', 'quarantined']) {
    test(`a handler that goes wrong by "${how}" answers 500, leaks nothing and the process lives`, async () => {
      sample.errors.length = 0;
      const answer = await RawClient.once(port, get(`/bad/${how}`));
      const body = problemOf(answer);
      assert.equal(answer.status, 500);
      assert.equal(body.code, how === 'quarantined' ? 'quarantined' : 'internal');
      assert.equal(body.instance, `/bad/${how}`);
      assert.ok(!/db\.internal|\.[jt]s:|set-cookie|cart_1/.test(answer.body + JSON.stringify(answer.headers)));
      assert.equal(sample.errors.length, 1);
      if (['throw', 'reject'].includes(how)) assert.equal(sample.errors[0]?.requestId, body.requestId);
      await alive();
    });
  }

  test('a fault keeps its code and says when to come back, in whole seconds', async () => {
    const answer = await RawClient.once(port, get('/bad/fault'));
    assert.equal(problemOf(answer).code, 'database_unavailable');
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '2');
    assert.ok(!answer.body.includes('5432'));
  });

  test('a problem carries its members, its type and the path it is about', async () => {
    const body = problemOf(await RawClient.once(port, get('/bad/problem')));
    assert.deepEqual(body, {
      available: 1,
      type: '/docs/problems#out_of_stock',
      title: 'There is not enough stock.',
      status: 409,
      code: 'out_of_stock',
      detail: 'Only 1 is left.',
      instance: '/bad/problem',
    });
  });

  test('bytes go out as they are, and 204 has neither body, type nor length', async () => {
    const bytes = await RawClient.once(port, get('/bad/bytes'));
    assert.deepEqual([bytes.body, bytes.headers['content-type']], ['日本', 'text/plain; charset=utf-8']);
    const empty = await RawClient.once(port, get('/bad/empty'));
    assert.equal(empty.status, 204);
    assert.deepEqual([empty.headers['content-length'], empty.headers['content-type']], [undefined, undefined]);
  });

  test('a client that leaves in the middle of a handler is counted and its answer dropped', async () => {
    const { aborted, dropped } = sample.edge.stats;
    const client = await RawClient.connect(port);
    client.write(post('/slow', LINE));
    await until(() => sample.world.waiting === 1, 'the handler');
    client.destroy();
    await until(() => sample.edge.stats.aborted === aborted + 1, 'the abort');
    sample.world.letGo();
    await until(() => sample.edge.stats.dropped === dropped + 1, 'the dropped answer');
    assert.equal(sample.edge.stats.inFlight, 0);
    await alive();
  });

  test('a client that leaves in the middle of its body reaches no handler', async () => {
    const { aborted } = sample.edge.stats;
    const served = sample.world.seen.length;
    const client = await RawClient.connect(port);
    client.write(post('/echo', LINE).subarray(0, -5));
    await until(() => sample.edge.stats.inFlight === 1, 'the head');
    client.destroy();
    await until(() => sample.edge.stats.aborted === aborted + 1, 'the abort');
    assert.equal(sample.world.seen.length, served);
  });

  test('a body that comes byte by byte is read whole', async () => {
    const client = await RawClient.connect(port);
    for (const byte of post('/echo', '{"sku":"日本","quantity":2}')) {
      client.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    assert.equal(JSON.parse((await client.answer()).body).sku, '日本');
    client.destroy();
  });

  test('a body over the limit gets 413 before it is sent, and the connection ends', async () => {
    const client = await RawClient.connect(port);
    client.write(
      get('/echo', { 'content-length': String(SAMPLE_BODY_MAX + 1), 'content-type': 'application/json' }, 'POST'),
    );
    const answer = await client.answer();
    assert.equal(problemOf(answer).code, 'body_too_large');
    assert.equal(answer.headers.connection, 'close');
    await client.closed();
  });

  test('a large body that is sent anyway still hears 413', async () => {
    const answer = await RawClient.once(port, post('/echo', Buffer.alloc(3_000_000, 32)));
    assert.equal(problemOf(answer).code, 'body_too_large');
    await alive();
  });

  test('a body at the limit is taken', async () => {
    const empty = '{"sku":"A","quantity":1,"note":""}';
    const note = 'n'.repeat(900);
    const answer = await RawClient.once(port, post('/echo', empty.replace('""', `"${note}"`).padEnd(SAMPLE_BODY_MAX)));
    assert.equal(JSON.parse(answer.body).note, note);
  });

  test('megabytes of an import arrive whole', async () => {
    const headers = { 'content-type': 'text/csv', authorization: `Bearer ${SAMPLE_ADMIN_KEY}` };
    const answer = await RawClient.once(port, post('/admin/import', Buffer.alloc(4 * 1_048_576, 65), headers));
    assert.deepEqual(JSON.parse(answer.body), { length: 4 * 1_048_576 });
  });

  test('requests pipelined behind answers that need no waiting are answered in order', async () => {
    const client = await RawClient.connect(port);
    client.write(get('/things/1') + get('/things/2') + post('/echo', LINE).toString() + get('/things/3'));
    const ids = [];
    for (let i = 0; i < 4; i++) ids.push(JSON.parse((await client.answer()).body).params?.id ?? 'echo');
    assert.deepEqual(ids, ['1', '2', 'echo', '3']);
    client.destroy();
  });

  test('a request pipelined behind one that waits ends the connection; the first one runs once and the second never', async () => {
    const served = sample.world.seen.length;
    const client = await RawClient.connect(port);
    client.write(post('/slow', LINE).toString() + get('/things/second'));
    assert.equal(await client.closed(), '');
    assert.deepEqual(sample.world.seen.slice(served), ['/slow']);
    sample.world.letGo();
    await alive();
  });

  test('1,000 connections at once each get their own answer', async () => {
    const clients = await Promise.all(Array.from({ length: 1_000 }, () => RawClient.connect(port)));
    for (const [index, client] of clients.entries()) client.write(post('/slow', `{"sku":"S-${index}","quantity":1}`));
    await until(() => sample.world.waiting === 1_000, 'all requests');
    assert.equal(sample.edge.stats.inFlight, 1_000);
    sample.world.letGo();
    const answers = await Promise.all(clients.map((client) => client.answer()));
    for (const [index, answer] of answers.entries()) assert.equal(JSON.parse(answer.body).sku, `S-${index}`);
    for (const client of clients) client.destroy();
    await until(() => sample.edge.stats.connections === 0, 'the end of all connections');
    assert.equal(sample.edge.stats.inFlight, 0);
  });

  test('HEAD answers like GET, with the length and without the body', async () => {
    const client = await RawClient.connect(port);
    client.write(get('/things/1', {}, 'HEAD') + get('/things/1'));
    const head = await client.answer(true);
    const whole = await client.answer();
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-length'], String(whole.body.length));
    assert.equal(head.headers.etag, whole.headers.etag);
    client.destroy();
  });

  test('a preflight from an allowed origin learns methods and headers; another one learns nothing', async () => {
    const good = await RawClient.once(port, get('/things/1', { origin: 'https://shop.example' }, 'OPTIONS'));
    assert.equal(good.status, 204);
    assert.equal(good.headers['access-control-allow-origin'], 'https://shop.example');
    assert.equal(good.headers['access-control-allow-methods'], 'GET, HEAD, OPTIONS');
    assert.match(good.headers['access-control-allow-headers'] ?? '', /Idempotency-Key/);
    const bad = await RawClient.once(port, get('/things/1', { origin: 'https://evil.example' }, 'OPTIONS'));
    assert.equal(Object.keys(bad.headers).filter((name) => name.startsWith('access-control')).length, 0);
  });

  test('answers name an allowed origin and expose the headers of the contract', async () => {
    const good = await RawClient.once(port, get('/things/1', { origin: 'https://shop.example' }));
    assert.equal(good.headers['access-control-allow-origin'], 'https://shop.example');
    assert.equal(good.headers.vary, 'origin');
    assert.match(good.headers['access-control-expose-headers'] ?? '', /Idempotency-Replayed/);
    const bad = await RawClient.once(port, get('/things/1', { origin: 'https://evil.example' }));
    assert.equal(bad.headers['access-control-allow-origin'], undefined);
    assert.equal(bad.headers.vary, 'origin');
  });

  test('an unknown path, a method that a path does not take and a body of another type are problems', async () => {
    assert.equal(problemOf(await RawClient.once(port, get('/nowhere'))).code, 'route_unknown');
    assert.equal(problemOf(await RawClient.once(port, get('/things//x'))).code, 'route_unknown');
    const method = await RawClient.once(port, get('/echo'));
    assert.equal(problemOf(method).code, 'method_not_allowed');
    assert.equal(method.headers.allow, 'POST, OPTIONS');
    assert.equal(problemOf(await RawClient.once(port, get('/echo', {}, 'BREW'))).code, 'method_not_allowed');
    for (const type of ['text/plain', '', 'application/json; charset=latin1', 'application/x-www-form-urlencoded']) {
      const answer = await RawClient.once(port, post('/echo', LINE, { 'content-type': type }));
      assert.equal(problemOf(answer).code, 'unsupported_media_type', type);
    }
    const utf8 = await RawClient.once(
      port,
      post('/echo', LINE, { 'content-type': 'Application/JSON; charset="UTF-8"' }),
    );
    assert.equal(utf8.status, 200);
  });

  test('a GET with a body is refused and its connection ends', async () => {
    const client = await RawClient.connect(port);
    client.write(`${get('/things/1', { 'content-length': '3' })}abc`);
    assert.equal(problemOf(await client.answer()).code, 'invalid_request');
    client.destroy();
  });

  test('credentials: none is 401, an unknown operator is 401, and a token is handed to the handler', async () => {
    const none = await RawClient.once(port, post('/opened', ''));
    assert.equal(problemOf(none).code, 'unauthenticated');
    assert.equal(none.headers['www-authenticate'], 'Bearer');
    const wrong = { 'content-type': 'text/csv', authorization: 'Bearer wrong' };
    assert.equal(problemOf(await RawClient.once(port, post('/admin/import', 'a', wrong))).code, 'unauthenticated');
    const given = await RawClient.once(port, post('/opened', '{}', { authorization: 'bearer abc' }));
    assert.equal(JSON.parse(given.body).bearer, 'abc');
    const doubled = get('/opened', { authorization: 'Bearer a' }, 'POST').replace(
      '\r\n\r\n',
      '\r\nAuthorization: Bearer b\r\n\r\n',
    );
    assert.equal(problemOf(await RawClient.once(port, doubled)).code, 'invalid_request');
  });

  test('an idempotency key is required, a UUID or visible characters where the route says so', async () => {
    const bearer = { authorization: 'Bearer t' };
    assert.equal(problemOf(await RawClient.once(port, get('/keyed/1', {}, 'DELETE'))).code, 'idempotency_key_required');
    for (const key of ['', ' ', 'a b', 'k'.repeat(256), '"open', 'schlüssel']) {
      const answer = await RawClient.once(port, get('/keyed/1', { 'idempotency-key': key }, 'DELETE'));
      assert.equal(problemOf(answer).code, 'invalid_request', JSON.stringify(key));
    }
    const short = await RawClient.once(port, post('/opened', '', { ...bearer, 'idempotency-key': 'not-a-uuid' }));
    assert.equal(problemOf(short).code, 'invalid_request');
    const uuid = 'B3D1C0DE-0000-4000-8000-000000000001';
    const good = await RawClient.once(port, post('/opened', '', { ...bearer, 'idempotency-key': uuid }));
    assert.equal(JSON.parse(good.body).key, uuid.toLowerCase(), 'a UUID is one key however it is written');
  });

  test('If-Match takes one tag or a star; a tag that no version has matches none', async () => {
    const seen = async (tag: string) =>
      JSON.parse((await RawClient.once(port, post('/echo', LINE, { 'if-match': tag }))).body).ifMatch;
    assert.equal(await seen('*'), undefined);
    assert.equal(await seen('"0"'), 0);
    assert.equal(await seen('W/"3"'), -1);
    assert.equal(await seen('"x"'), -1);
    for (const tag of ['3', '"3", "4"', '"'])
      assert.equal(
        problemOf(await RawClient.once(port, post('/echo', LINE, { 'if-match': tag }))).code,
        'invalid_request',
      );
  });

  const targets = [
    '/things/%',
    '/things/%zz',
    '/things/%ff',
    '/things/%00',
    '/things/%ED%A0%80',
    '/things/1?limit=%00',
    '/things/1?a=%zz',
  ];
  targets.push('/things/1?limit=0', '/things/1?limit=1e3', '/things/1?limit=1&limit=2', '/things/1?unknown=1');
  targets.push('/things/1?all=yes', '/things/1?skus=a,b,c,d,e,f', `/things/1?${'&limit=1'.repeat(40)}`);
  for (const target of targets) {
    test(`GET ${target.slice(0, 40)} is refused as invalid`, async () => {
      const body = problemOf(await RawClient.once(port, get(target)));
      assert.equal(body.code, 'invalid_request');
      assert.match(JSON.stringify(body.errors), /"path":"\/(params\/id|query)/);
    });
  }

  test('a path parameter outside its schema names nothing', async () => {
    assert.equal(problemOf(await RawClient.once(port, get(`/things/${'x'.repeat(41)}`))).code, 'not_found');
  });

  const bodies: Readonly<Record<string, string | Buffer>> = {
    'half a text': '{"sku":',
    'a NUL by escape': '{"sku":"A\\u0000","quantity":1}',
    'a raw NUL': '{"sku":"A\0","quantity":1}',
    'half of a surrogate pair': '{"sku":"\\ud800","quantity":1}',
    'half of a surrogate pair in a name': '{"sku":"A","quantity":1,"\\udc00":1}',
    'bytes that are no UTF-8': Buffer.from('7b22736b75223a22ff222c227175616e74697479223a317d', 'hex'),
    'a surrogate in UTF-8': Buffer.from('7b22736b75223a22eda080222c227175616e74697479223a317d', 'hex'),
    'a byte order mark': `\ufeff${LINE}`,
    'a number that is not finite': '{"sku":"A","quantity":1e999}',
    'a fraction': '{"sku":"A","quantity":1.5}',
    'an unknown field': '{"sku":"A","quantity":1,"price":1}',
    'a prototype': '{"sku":"A","quantity":1,"__proto__":{"admin":true}}',
    'a constructor': '{"sku":"A","quantity":1,"constructor":{"prototype":{}}}',
    'a list': '[{"sku":"A","quantity":1}]',
    'a bare word': 'null',
    'deep nesting': `{"sku":${'['.repeat(900)}${']'.repeat(900)},"quantity":1}`,
    'nothing but spaces': '   ',
  };
  for (const [name, body] of Object.entries(bodies)) {
    test(`a body with ${name} is refused as invalid`, async () => {
      const served = sample.world.seen.length;
      const refused = problemOf(await RawClient.once(port, post('/echo', body)));
      assert.equal(refused.code, 'invalid_request');
      assert.ok(Array.isArray(refused.errors) && refused.errors.length > 0 && refused.errors.length <= 10);
      assert.equal(sample.world.seen.length, served);
      assert.equal(({} as Record<string, unknown>).admin, undefined);
    });
  }

  test('errors point at the fields they are about', async () => {
    const { errors } = problemOf(await RawClient.once(port, post('/echo', '{"quantity":0,"a/b":1}')));
    const paths = (errors as { path: string }[]).map(({ path }) => path).sort();
    assert.deepEqual(paths, ['/a~1b', '/quantity', '/sku']);
  });

  test('a body where none is taken is refused, unless it is an empty object', async () => {
    const headers = { authorization: 'Bearer t' };
    assert.equal(problemOf(await RawClient.once(port, post('/opened', '{"a":1}', headers))).code, 'invalid_request');
    assert.equal((await RawClient.once(port, post('/opened', '{}', headers))).status, 200);
    assert.equal(problemOf(await RawClient.once(port, post('/echo', ''))).code, 'invalid_request');
  });

  test('whatever bytes come as a body, the answer is the echo or a known problem, and the server lives', async () => {
    const client = { current: await RawClient.connect(port) };
    const hostileText = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      fc
        .record({ sku: fc.string({ unit: 'binary' }), quantity: fc.oneof(fc.integer(), fc.double(), fc.anything()) })
        .map((line) =>
          Buffer.from(JSON.stringify(line, (_, value) => (typeof value === 'bigint' ? `${value}` : value)) ?? ''),
        ),
    );
    await fc.assert(
      fc.asyncProperty(hostileText, async (body) => {
        client.current.write(post('/echo', body));
        const answer = await client.current.answer();
        if (answer.status === 200) return;
        assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
        problemOf(answer);
        if (answer.headers.connection === 'close') client.current = await RawClient.connect(port);
      }),
      { numRuns: 400 },
    );
    client.current.destroy();
    await alive();
  });

  test('whatever bytes come as a request, the server lives', async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((raw) => Buffer.from(raw)),
      fc
        .array(
          fc.constantFrom(
            'GET',
            ' ',
            '/echo',
            '/things/1',
            ' HTTP/1.1',
            '\r\n',
            ':',
            'Content-Length',
            '5',
            '\0',
            'Host: a',
            '{}',
          ),
          {
            maxLength: 30,
          },
        )
        .map((parts) => Buffer.from(parts.join(''))),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (raw) => {
        const client = await RawClient.connect(port);
        client.write(raw);
        await new Promise(setImmediate);
        client.destroy();
      }),
      { numRuns: 200 },
    );
    await alive();
    await until(() => sample.edge.stats.inFlight === 0, 'the end of all requests');
  });
});
