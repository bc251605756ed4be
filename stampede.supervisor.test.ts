/** `stampede start --nodes`: several processes on one port, started again when they die, ended together. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { kill, Outside } from './bench/outside.ts';
import { redisMissing } from './bench/redis-process.ts';
import { ADMIN_KEY, freePort, isAlive, until } from './bench/shop-process.ts';

const skip = redisMissing() ?? false;
let outside: Outside;
before(async () => {
  if (skip === false) outside = await Outside.open();
});
after(() => outside?.close());

interface Member {
  readonly node: string;
  readonly state: string;
  readonly incarnation: string;
}

/** Who answers on an operators' port, and under which incarnation; null where nobody does. */
async function memberAt(port: number): Promise<Member | null> {
  try {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/admin/cluster`, { headers });
    const { node, members } = (await answer.json()) as { node: string; members: Member[] };
    return members.find((member) => member.node === node && member.state === 'alive') ?? null;
  } catch {
    return null;
  }
}

test('three nodes share a port, are started again when they die, and end together', { skip }, async (t) => {
  const port = await freePort();
  const opsPort = await freePort();
  const run = outside.run(['start', '--nodes', '3'], { PORT: String(port), OPS_PORT: String(opsPort) });
  const opsPorts = [opsPort, opsPort + 1, opsPort + 2];
  await run.says('3 nodes');

  await t.test('it says once where it serves, and where operators are served', async () => {
    assert.match(run.stdout, new RegExp(`^stampede \\S+ serves http://127\\.0\\.0\\.1:${port}\n {2}3 nodes\n`));
    for (const one of opsPorts) assert.ok(run.stdout.includes(`http://127.0.0.1:${one}`), run.stdout);
    const nodes = await Promise.all(opsPorts.map(memberAt));
    assert.deepEqual(
      nodes.map((member) => member?.node),
      ['node-1', 'node-2', 'node-3'],
    );
    assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
  });

  await t.test('a child that was killed is started again under another incarnation', async () => {
    const before = await memberAt(opsPort);
    const children = run.children();
    assert.equal(children.length, 3);
    const victim = children.find((pid) => readFileSync(`/proc/${pid}/environ`, 'latin1').includes('NODE_ID=node-1\0'));
    assert.ok(victim !== undefined);
    kill(victim, 'SIGKILL');
    const next = await until('it serves again', async () => {
      const found = await memberAt(opsPort);
      return found !== null && found.incarnation !== before?.incarnation && found;
    });
    assert.equal(next.node, 'node-1');
    assert.ok(!isAlive(victim));
  });

  await t.test('SIGTERM ends all of them in order', async () => {
    const children = run.children();
    run.signal('SIGTERM');
    assert.equal(await run.ended, 0, run.stderr);
    assert.ok(children.every((pid) => !isAlive(pid)));
    await assert.rejects(fetch(`http://127.0.0.1:${port}/readyz`));
  });
});

test('nodes end in order when their supervisor is killed', { skip }, async () => {
  const run = outside.run(['start', '--nodes', '2'], { PORT: '0', NODE_ID: 'orphan' });
  await run.says('2 nodes');
  const children = run.children();
  assert.equal(children.length, 2);
  run.signal('SIGKILL');
  await until('they have ended', () => children.every((pid) => !isAlive(pid)));
  const client = new pg.Client({ connectionString: outside.databaseUrl });
  await client.connect();
  const states = await client.query("SELECT DISTINCT state FROM stampede.member WHERE node_id LIKE 'orphan-%'");
  await client.end();
  assert.deepEqual(states.rows, [{ state: 'left' }]);
});
