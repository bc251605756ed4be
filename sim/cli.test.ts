/** The command line says what happened, and of what failed how to see the least of it again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { main } from './cli.ts';
import { PaymentProvider } from './payments.ts';

async function said(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await main(args, { line: (text) => lines.push(text), progress: () => {} });
  return { code, lines };
}

test('many seeds are summed up', async () => {
  const { code, lines } = await said('--seeds', '2', '--from', '7', '--length', '1500');
  assert.equal(code, 0);
  assert.match(lines[0] ?? '', /^2 histories in .* 0 failed$/);
  assert.ok(
    lines.some((line) => /^\d.* calls: answered \d+/.test(line)),
    lines.join('\n'),
  );
});

test('one seed is told line by line, and with its digest', async () => {
  const args = ['--seed', '5', '--length', '1000'];
  const { code, lines } = await said(...args);
  assert.equal(code, 0);
  assert.match(lines.at(-1) ?? '', /^seed 5: \d+ events, .* history [0-9a-f]{16}$/);
  const quiet = await said(...args, '--quiet');
  assert.deepEqual(quiet.lines, [lines.at(-1)]);
});

test('what fails is shrunk to a command that fails in the same way', async () => {
  const { byReference } = PaymentProvider.prototype;
  // The provider forgets what it has charged.
  PaymentProvider.prototype.byReference = () => [];
  try {
    const { code, lines } = await said('--seeds', '1', '--from', '3', '--length', '1500');
    assert.equal(code, 1);
    assert.match(lines[0] ?? '', /^seed 3 failed: exactly one: /);
    const command = lines.at(-1) ?? '';
    const [, faults, clients] = /--seed 3 --faults '([\d,]*)' --clients '([\d,]+)' --length 1500$/.exec(command) ?? [];
    assert.ok(faults !== undefined && clients !== undefined, command);
    assert.equal(faults, '');
    const again = await said('--seed', '3', '--faults', faults, '--clients', clients, '--length', '1500', '--quiet');
    assert.equal(again.code, 1);
    assert.match(again.lines[0] ?? '', /^violated: exactly one/);
  } finally {
    PaymentProvider.prototype.byReference = byReference;
  }
});
