/** How a shop that `npm start` runs is ended: by a signal to npm alone, and by Ctrl-C, which reaches every process of the terminal. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { entryPoint, freePort, isAlive, ShopProcess, TEST_SECRETS, until } from './bench/shop-process.ts';
import { cartOf, checkout } from './bench/shopper.ts';

/** The `start` script as npm runs it, but with the build that this test belongs to. */
function startScript(): string {
  let folder = dirname(entryPoint());
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return scripts.start.replace('dist/stampede.js', entryPoint());
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', resolve));
}

function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}

test('a shop stops in order, whether the signal reaches npm alone or its whole group twice', async (t) => {
  const shop = await ShopProcess.start();
  try {
    const products = (await shop.request('GET', '/v1/products?limit=100')).body.items;
    const { sku } = products.find((p: { holdAt: string }) => p.holdAt === 'checkout');

    await t.test('Ctrl-C during a checkout: the payment is waited for, the buyer hears of the order', async () => {
      const family = shop.family();
      const cart = await cartOf(shop, sku);
      const bought = checkout(shop, cart, { payWith: 'tok_slow' });
      await until('the checkout is under way', async () => {
        const read = await shop.request('GET', `/v1/carts/${cart.id}`, { token: cart.token });
        return read.body.state === 'checking_out';
      });
      const exited = exitOf(shop.child);
      const group = -(shop.child.pid ?? 0);
      process.kill(group, 'SIGINT'); // the terminal's
      await until('the shop is draining', async () => {
        const ready = await shop.request('GET', '/readyz').catch(() => null);
        return ready?.status !== 200;
      });
      process.kill(group, 'SIGINT'); // the one that npm passes on
      assert.equal((await bought).status, 201);
      assert.equal(await exited, 0, shop.logTail());
      await until('every process has ended', () => family.every((pid) => !isAlive(pid)));
    });

    await t.test('SIGTERM to what npm started reaches the shop, and nothing outlives it', async () => {
      const port = await freePort();
      const child = spawn('sh', ['-c', startScript()], {
        detached: true,
        stdio: ['ignore', 'pipe', 'inherit'],
        env: {
          PATH: process.env.PATH,
          ...TEST_SECRETS,
          PORT: String(port),
          DATA_DIR: shop.dataDir,
          LOG_LEVEL: 'warn',
        },
      });
      try {
        let told = '';
        child.stdout.on('data', (chunk: Buffer) => {
          told += chunk.toString();
        });
        await until('the shop serves', () => told.includes(`serves http://127.0.0.1:${port}`));
        const exited = exitOf(child);
        child.kill('SIGTERM');
        assert.equal(await exited, 0);
        await until('every process has ended', () => shop.family().every((pid) => !isAlive(pid)));
      } finally {
        killGroup(child.pid);
      }
    });
  } finally {
    await shop.cleanUp();
  }
});
