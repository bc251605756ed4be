import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FLOORS_FILE, type Floors, fallen, floors, judge, noteOnQuiet } from './gate.ts';

const root = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '..' : '../..', import.meta.url));
const git = (...args: string[]) =>
  execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

const ratio = (name: string, value: number, low: number, high: number) => ({
  name,
  value,
  low,
  high,
  insideNoise: false,
  wanted: null,
});

test('a ratio falls only where its whole interval lies below the floor; one that was not measured does', () => {
  const required = { steady: 1, noisy: 1, lost: 1, gone: 1 };
  const verdicts = judge(required, [
    ratio('steady', 1.2, 1.1, 1.3),
    ratio('noisy', 0.9, 0.7, 1.05),
    ratio('lost', 0.8, 0.7, 0.9),
  ]);
  assert.deepEqual(
    verdicts.map(({ name, held }) => [name, held]),
    [
      ['steady', true],
      ['noisy', true],
      ['lost', false],
      ['gone', false],
    ],
  );
});

test('what fell beside busy programs may be theirs, and the gate says so; it still fails', () => {
  const rows = [0.02, 0.4, 0.5].map((othersShare) => ({ othersShare }));
  const fell = judge({ lost: 1 }, [ratio('lost', 0.8, 0.7, 0.9)]);
  const kept = judge({ lost: 1 }, [ratio('lost', 1.2, 1.1, 1.3)]);
  assert.match(noteOnQuiet(rows, fell), /^other programs used 40 % .* repeat it on a quiet machine$/);
  assert.doesNotMatch(noteOnQuiet(rows, kept), /repeat/);
  assert.doesNotMatch(noteOnQuiet(rows.slice(0, 1), fell), /repeat/);
  assert.deepEqual(
    fell.map(({ held }) => held),
    [false],
  );
});

test('a floor that is lowered or taken away is named; a new or a higher one is not', () => {
  assert.deepEqual(fallen({ a: 1, b: 2, c: 3 }, { a: 1.5, b: 1.9, d: 1 }), ['b: 2 → 1.9', 'c: 3 → gone']);
});

test('no floor is lower than it ever was', (t) => {
  let commits: string[];
  try {
    commits = git('log', '--format=%H', '--', FLOORS_FILE).split('\n').filter(Boolean);
  } catch {
    t.skip('there is no history here');
    return;
  }
  const now = floors(root);
  assert.ok(Object.values(now).every((floor) => floor > 0));
  for (const commit of commits)
    assert.deepEqual(fallen(JSON.parse(git('show', `${commit}:${FLOORS_FILE}`)) as Floors, now), [], commit);
});
