import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalSample, NodeSample } from './soak-samples.ts';
import { judge, SOAK_LIMITS } from './soak-verdict.ts';

const MINUTES = 10;

function samplesOf(change: (minutes: number) => Partial<NodeSample>, pid = 1): NodeSample[] {
  return Array.from({ length: MINUTES * 6 }, (_, index) => {
    const at = index / 6;
    const noise = (index * 7) % 5;
    const steady = { residentMiB: 200 + noise, heapMiB: 50 + noise / 4, handles: 40 + (index % 3) };
    return { node: 'node-1', pid, at, loopDelayMs: 11, actors: 100, passivations: 0, ...steady, ...change(at) };
  });
}

const journal: JournalSample[] = Array.from({ length: 10 }, (_, at) => ({
  at,
  events: 1_000 * at,
  mebibytes: 1 + at * 0.3,
}));

test('a process that stays as it is has no objections, nor has one that warms up', () => {
  assert.deepEqual(
    judge(
      samplesOf(() => ({})),
      journal,
      SOAK_LIMITS,
    ).objections,
    [],
  );
  const warming = samplesOf((at) => ({ heapMiB: Math.min(at, SOAK_LIMITS.warmUpMinutes) * 20 }));
  assert.deepEqual(judge(warming, journal, SOAK_LIMITS).objections, []);
});

test('what grows by a little each minute is objected to', () => {
  const cases: [string, (at: number) => Partial<NodeSample>][] = [
    ['heapMiBPerMinute', (at) => ({ heapMiB: 50 + at })],
    ['residentMiBPerMinute', (at) => ({ residentMiB: 200 + 5 * at })],
    ['handlesPerMinute', (at) => ({ handles: 40 + Math.floor(2 * at) })],
  ];
  for (const [name, change] of cases) {
    const { objections } = judge(samplesOf(change), journal, SOAK_LIMITS);
    assert.equal(objections.length, 1, name);
    assert.match(objections[0] ?? '', new RegExp(name));
  }
});

test('a heap that grows with its actors is no leak', () => {
  const growing = samplesOf((at) => ({ actors: 2_000 * at, heapMiB: 50 + (2_000 * at * 5) / 1024, residentMiB: 300 }));
  assert.deepEqual(judge(growing, journal, SOAK_LIMITS).objections, []);
});

test('a process is judged by its own samples, and one that lived too short not at all', () => {
  const short = samplesOf((at) => ({ heapMiB: 50 * at, residentMiB: 300 * at }), 2).filter(({ at }) => at < 3);
  const { trends, objections } = judge([...samplesOf(() => ({})), ...short], journal, SOAK_LIMITS);
  assert.deepEqual([trends.length, objections], [1, []]);
  assert.equal(judge(short, journal, SOAK_LIMITS).objections.length, 1, 'nothing judged is an objection');
});

test('a journal that grows faster than the work is objected to', () => {
  const bloating = journal.map((sample) => ({ ...sample, mebibytes: sample.at ** 2 }));
  assert.match(
    judge(
      samplesOf(() => ({})),
      bloating,
      SOAK_LIMITS,
    ).objections[0] ?? '',
    /journal/,
  );
});
