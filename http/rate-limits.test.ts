import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_RATE_LIMITS, parseRateLimits, RateLimiter } from './rate-limits.ts';

test('rules replace the defaults of the same name', () => {
  assert.equal(parseRateLimits(null), DEFAULT_RATE_LIMITS);
  assert.equal(parseRateLimits('off'), 'off');
  const rules = parseRateLimits('default=10/1, checkout=5/60');
  assert.deepEqual(rules, {
    ...DEFAULT_RATE_LIMITS,
    default: { quota: 10, windowMs: 1_000 },
    checkout: { quota: 5, windowMs: 60_000 },
  });
});

test('a bad rule is refused with the rule in the message', () => {
  for (const text of [
    'default',
    'default=',
    'default=1',
    'default=1/',
    'default=-1/60',
    'default=0/60',
    'default=1/0',
    'x=1/1',
    'on',
  ])
    assert.throws(() => parseRateLimits(text), { name: 'RangeError' }, text);
  assert.throws(() => parseRateLimits('default=1/1,default=2/2'), /twice/);
  assert.throws(() => parseRateLimits('chekout=1/1'), /"chekout" is not one of .*checkout/);
  assert.throws(() => parseRateLimits('default=1/1,'), /no limit/);
});

test('a quota passes at once, the next waits for one interval, and a window later all is whole again', () => {
  const limiter = new RateLimiter('default', { quota: 4, windowMs: 1_000 });
  assert.deepEqual(
    [1, 2, 3, 4].map(() => limiter.take('a', 5_000)),
    [3, 2, 1, 0],
  );
  assert.equal(limiter.take('a', 5_000), -250);
  assert.equal(limiter.take('a', 5_249), -1);
  assert.equal(limiter.take('a', 5_250), 0);
  assert.equal(limiter.take('b', 5_250), 3);
  assert.equal(limiter.take('a', 6_250), 3);
});

test('in any window never more than twice the quota passes, and one who keeps to the rate is never refused', () => {
  const rule = { quota: 5, windowMs: 1_000 };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 }), (gaps) => {
      const limiter = new RateLimiter('default', rule);
      const passed: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        if (limiter.take('k', now) >= 0) passed.push(now);
      }
      for (const start of passed) {
        const within = passed.filter((at) => at >= start && at < start + rule.windowMs).length;
        assert.ok(within <= 2 * rule.quota);
      }
    }),
  );
  const limiter = new RateLimiter('default', rule);
  for (let i = 0; i < 500; i++) assert.ok(limiter.take('k', i * 200) >= 0, `request ${i}`);
});

test('memory ends at the bound of keys, and a refused key stays refused while it is remembered', () => {
  const limiter = new RateLimiter('default', { quota: 1, windowMs: 60_000 }, 1_000);
  limiter.take('victim', 0);
  for (let i = 0; i < 400; i++) limiter.take(`k${i}`, 1);
  assert.ok(limiter.take('victim', 2) < 0);
  for (let i = 0; i < 100_000; i++) limiter.take(`x${i}`, 3);
  assert.ok(limiter.keys <= 1_000);
});

test('a key whose quota is spent stays refused over the turn of a generation', () => {
  const limiter = new RateLimiter('default', { quota: 2, windowMs: 1_000 });
  limiter.take('other', 0);
  limiter.take('k', 990);
  limiter.take('k', 990);
  assert.ok(limiter.take('k', 1_005) < 0);
  assert.ok(limiter.take('k', 1_491) >= 0);
});

test('the headers have the form of the draft', () => {
  const limiter = new RateLimiter('default', { quota: 600, windowMs: 60_000 });
  assert.equal(limiter.policy, '"default";q=600;w=60');
  assert.equal(limiter.header(limiter.take('k', 0)), '"default";r=599;t=1');
  assert.equal(limiter.header(-1_500), '"default";r=0;t=2');
});
