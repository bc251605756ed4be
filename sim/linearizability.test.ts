/** The checker accepts what some order explains and refuses what none does; for small histories that is compared with trying every order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkLinearizable, type Operation, type Specification } from './linearizability.ts';

type Input = { readonly put: number } | 'get' | 'take';
type Op = Operation<Input, number | 'empty'>;

/** One place that holds a number: `put` answers the number, `get` and `take` what is there. */
const cell: Specification<number | null, Input, number | 'empty'> = {
  initial: null,
  step(state, input, output) {
    if (typeof input === 'object') return [input.put];
    if (output !== null && output !== (state ?? 'empty')) return [];
    return [input === 'take' ? null : state];
  },
  key: String,
};

const op = (input: Input, output: number | 'empty' | null, start: number, end = Number.POSITIVE_INFINITY): Op => ({
  input,
  output,
  start,
  end,
});

test('calls one after the other must each see the one before', () => {
  assert.equal(checkLinearizable(cell, [op({ put: 1 }, 1, 1, 2), op('get', 1, 3, 4)]).ok, true);
  assert.equal(checkLinearizable(cell, [op({ put: 1 }, 1, 1, 2), op('get', 'empty', 3, 4)]).ok, false);
});

test('calls at one time may take effect in either order', () => {
  const both = [op({ put: 1 }, 1, 1, 5), op({ put: 2 }, 2, 2, 6)];
  assert.equal(checkLinearizable(cell, [...both, op('get', 1, 7, 8)]).ok, true);
  assert.equal(checkLinearizable(cell, [...both, op('get', 2, 7, 8)]).ok, true);
  assert.equal(checkLinearizable(cell, [...both, op('get', 1, 7, 8), op('get', 2, 9, 10)]).ok, false);
});

test('a read that comes after one that saw the new value may not see the old one', () => {
  const put = op({ put: 1 }, 1, 1, 10);
  assert.equal(checkLinearizable(cell, [put, op('get', 'empty', 2, 3), op('get', 1, 4, 5)]).ok, true);
  assert.equal(checkLinearizable(cell, [put, op('get', 1, 2, 3), op('get', 'empty', 4, 5)]).ok, false);
});

test('a unit is taken once', () => {
  const put = op({ put: 7 }, 7, 1, 2);
  assert.equal(checkLinearizable(cell, [put, op('take', 7, 3, 8), op('take', 'empty', 4, 9)]).ok, true);
  assert.equal(checkLinearizable(cell, [put, op('take', 7, 3, 8), op('take', 7, 4, 9)]).ok, false);
});

test('an unanswered call may have taken effect, late, or never, but not before it began', () => {
  const lost = op({ put: 3 }, null, 5);
  assert.equal(checkLinearizable(cell, [lost, op('get', 'empty', 6, 7), op('get', 3, 8, 9)]).ok, true);
  assert.equal(checkLinearizable(cell, [lost, op('get', 'empty', 6, 7), op('get', 'empty', 8, 9)]).ok, true);
  assert.equal(checkLinearizable(cell, [lost, op('get', 3, 6, 7), op('get', 'empty', 8, 9)]).ok, false);
  assert.equal(checkLinearizable(cell, [lost, op('get', 3, 1, 2)]).ok, false);
});

test('a refusal names the call that no order has a place for', () => {
  const bad = op('get', 9, 5, 6);
  const verdict = checkLinearizable(cell, [op({ put: 1 }, 1, 1, 2), op('get', 1, 3, 4), bad, op('get', 1, 7, 8)]);
  assert.ok(verdict.ok === false);
  assert.equal(verdict.stuck, bad);
  assert.equal(verdict.order.length, 2);
});

test('two hundred calls of six clients are decided without trying their orders one by one', () => {
  const ops: Op[] = [];
  for (let round = 0; round < 33; round++) {
    for (let client = 0; client < 6; client++) {
      const put = round * 6 + client;
      ops.push(op({ put }, put, round * 100 + client, round * 100 + 50 + client));
    }
  }
  assert.equal(checkLinearizable(cell, [...ops, op('get', 195, 4_000, 4_001)]).ok, true);
  assert.equal(checkLinearizable(cell, [...ops, op('get', 5, 4_000, 4_001)]).ok, false);
});

test('a search that grows too long is given up and says so', () => {
  const ops = Array.from({ length: 30 }, (_, put) => op({ put }, null, 1));
  assert.equal(checkLinearizable(cell, [...ops, op('get', 99, 2, 3)], 500).ok, 'undecided');
});

/** Every order of every choice of unanswered calls. */
function anyOrder(ops: readonly Op[], state: number | null = null): boolean {
  if (ops.every((one) => one.output === null)) return true;
  const bound = Math.min(...ops.filter((one) => one.output !== null).map((one) => one.end));
  return ops.some(
    (one) =>
      one.start <= bound &&
      cell.step(state, one.input, one.output).some((after) =>
        anyOrder(
          ops.filter((other) => other !== one),
          after,
        ),
      ),
  );
}

test('small histories are judged as by trying every order', () => {
  const seen = { yes: 0, no: 0 };
  const value = fc.constantFrom<number | 'empty' | null>(0, 1, 2, 'empty', null);
  const input = fc.oneof(
    fc.nat(2).map((put) => ({ put })),
    fc.constantFrom('get' as const, 'take' as const),
  );
  const operation = fc.tuple(input, value, fc.nat(20), fc.nat(6)).map(([asked, said, start, length]): Op => {
    const output = typeof asked === 'object' && said !== null ? asked.put : said;
    return op(asked, output, start * 2, output === null ? Number.POSITIVE_INFINITY : start * 2 + 1 + length * 4);
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 7 }), (ops) => {
      const expected = anyOrder(ops);
      assert.equal(checkLinearizable(cell, ops).ok, expected);
      seen[expected ? 'yes' : 'no']++;
    }),
    { numRuns: 2_000 },
  );
  assert.ok(seen.yes > 100 && seen.no > 100, JSON.stringify(seen));
});
