/** The shop as processes: starts that must fail, restarts of what it rests on, an orderly end, an outside database. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { postgresAt, throughPort } from './bench/cluster-process.ts';
import { scratchDatabase } from './bench/scratch-database.ts';
import { entryPoint, freePort, isAlive, pause, ShopProcess, TEST_SECRETS, until } from './bench/shop-process.ts';
import { addLine, cartOf, checkout, inParallel, newCart, orderAtRest } from './bench/shopper.ts';
import { TcpProxy } from './bench/tcp-proxy.ts';
import { startSandbox } from './payments/sandbox-server.ts';

const run = promisify(execFile);

/** Runs the command line to its end; resolves with what it printed and its exit code. */
async function command(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await run(process.execPath, [entryPoint(), ...args], {
      env: { PATH: process.env.PATH, ...env },
      timeout: 60_000,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr };
  }
}

async function plainSku(shop: ShopProcess): Promise<string> {
  const list = await shop.request('GET', '/v1/products?limit=100');
  return list.body.items.find(
    (p: { holdAt: string; maxPerOrder?: number }) => p.holdAt === 'checkout' && !p.maxPerOrder,
  ).sku;
}

test('a bad value in the environment stops the start with one line that names it', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'stampede-env-'));
  try {
    for (const [name, value] of [
      ['PORT', 'eighty'],
      ['DATABASE_URL', 'mysql://x'],
      ['DATA_KEY', 'short'],
      ['TOKEN_SECRET', 'short'],
      ['RATE_LIMITS', 'default=ten'],
      ['TRUSTED_PROXIES', '300.0.0.0/8'],
      ['CORS_ORIGINS', 'shop.example'],
      ['LOG_LEVEL', 'loud'],
      ['PAYMENT_PROVIDER', 'piggybank'],
    ] as const) {
      const ended = await command(['start'], { DATA_DIR: dataDir, [name]: value });
      assert.equal(ended.code, 78, name);
      assert.match(ended.stderr, new RegExp(`^stampede: ${name}: [^\\n]+\\n$`), `${name}: ${ended.stderr}`);
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test('an embedded shop: a second process on its directory is refused, PostgreSQL and the sandbox may die under load, SIGTERM loses nothing', async (t) => {
  const shop = await ShopProcess.start();
  try {
    const sku = await plainSku(shop);

    await t.test('a second process on the same directory is refused with one line', async () => {
      const ended = await command(['start'], {
        ...TEST_SECRETS,
        DATA_DIR: shop.dataDir,
        PORT: String(await freePort()),
      });
      assert.equal(ended.code, 1);
      const lines = ended.stderr
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('stampede: '));
      assert.equal(lines.length, 1, ended.stderr);
      assert.match(lines[0] ?? '', /director|another|in use|owned/i);
      assert.equal((await shop.request('GET', '/readyz')).status, 200, 'the first one goes on');
    });

    await t.test(
      'PostgreSQL killed under load: 503 meanwhile, the process lives, nothing acknowledged is lost',
      async () => {
        const pidFile = await postmasterPidFile(shop);
        const carts = await inParallel(20, 20, () => newCart(shop));
        const acknowledged = carts.map(() => 0);
        const statuses = new Map<number, number>();
        let over = false;
        const load = carts.map(async (cart, index) => {
          while (!over) {
            const key = randomUUID();
            // A call whose answer was lost or refused is repeated under its key until it is answered.
            await until(
              'an add is answered',
              async () => {
                const answer = await addLine(shop, cart, sku, 1, key).catch(() => null);
                if (answer === null) return undefined;
                statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
                if (answer.status === 200) acknowledged[index] = (acknowledged[index] ?? 0) + 1;
                else {
                  assert.ok([429, 503].includes(answer.status), answer.text);
                  assert.ok(Number(answer.headers['retry-after']) >= 1, answer.text);
                }
                return answer.status === 200;
              },
              30_000,
            );
            // A cart takes 200 keyed writes a minute.
            await pause(50);
          }
        });
        await until('there is load', () => acknowledged.reduce((sum, n) => sum + n, 0) > 100);
        // Killed as often as it comes back, so that it is away long enough for callers to notice.
        await until('calls are refused', async () => {
          const postmaster = existsSync(pidFile) ? Number.parseInt(readFileSync(pidFile, 'utf8'), 10) : 0;
          if (postmaster > 0 && isAlive(postmaster)) process.kill(postmaster, 'SIGKILL');
          return (statuses.get(503) ?? 0) > 0;
        });
        const before = acknowledged.reduce((sum, n) => sum + n, 0);
        await until(
          'it serves again by itself',
          () => acknowledged.reduce((sum, n) => sum + n, 0) > before + 100,
          30_000,
        );
        over = true;
        await Promise.all(load);
        for (const [index, cart] of carts.entries()) {
          const read = await shop.request('GET', `/v1/carts/${cart.id}`, { token: cart.token });
          assert.equal(read.body.lines[0].quantity, acknowledged[index], 'each add that was answered is there once');
        }
      },
    );

    await t.test('the sandbox provider killed: a checkout waits for it and comes to its end', async () => {
      const sandbox = shop.family().find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0sandbox\0'));
      assert.ok(sandbox !== undefined);
      const cart = await cartOf(shop, sku);
      process.kill(sandbox, 'SIGKILL');
      const answer = await checkout(shop, cart);
      assert.ok(answer.status === 201 || answer.status === 202, answer.text);
      assert.equal((await orderAtRest(shop, cart, answer.body.id)).state, 'confirmed');
    });

    await t.test(
      'SIGTERM under load: every request that was taken is answered, readiness is red, no process is left',
      async () => {
        const family = shop.family();
        const cart = await newCart(shop);
        const statuses: number[] = [];
        let broken = 0;
        let over = false;
        const load = Array.from({ length: 16 }, async () => {
          while (!over) {
            const answer = await addLine(shop, cart, sku).catch((error: { code?: string }) => {
              // A connect that found nobody listening was never taken.
              if (error.code !== 'ECONNREFUSED') broken++;
              over = true;
              return null;
            });
            if (answer !== null) statuses.push(answer.status);
          }
        });
        await until('there is load', () => statuses.length > 100);
        const code = await shop.stop();
        over = true;
        await Promise.all(load);
        assert.equal(code, 0, shop.logTail());
        assert.ok(
          statuses.every((status) => status === 200 || status === 503 || status === 409),
          JSON.stringify(statuses.filter((s) => s !== 200)),
        );
        assert.equal(broken, 0, 'no connection was cut under a request');
        await until('every process has ended', () => family.every((pid) => !isAlive(pid)));
      },
    );
  } finally {
    await shop.cleanUp();
  }
});

test('on an outside database: seeded by command, one member at a time, taken over after kill -9, jobs on Redis', async (t) => {
  const database = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_outside');
  const books = await scratchDatabase(process.env.TEST_DATABASE_URL, 'stampede_outside_books');
  const sandbox = await startSandbox({ databaseUrl: books.url, host: '127.0.0.1', port: 0 });
  const redis = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';
  const env = {
    DATABASE_URL: database.url,
    PAYMENT_SANDBOX_URL: sandbox.url,
    ...(redis === 'none' ? {} : { REDIS_URL: redis, CLUSTER_ID: `test-${randomUUID().slice(0, 8)}` }),
  };
  let shop: ShopProcess | undefined;
  try {
    await t.test('seed fills an empty database and refuses one that is not', async () => {
      const missing = await command(['seed'], {});
      assert.match(missing.stderr, /^stampede: DATABASE_URL: /);
      const seeded = await command(['seed', '--products', '500'], { ...TEST_SECRETS, ...env });
      assert.equal(seeded.code, 0, seeded.stderr);
      assert.match(seeded.stdout, /^500 products/);
      const again = await command(['seed'], { ...TEST_SECRETS, ...env });
      assert.equal(again.code, 1);
      assert.match(again.stderr, /^stampede: [^\n]+not empty[^\n]*\n$/);
    });

    const first = await ShopProcess.start({ env });
    shop = first;
    const sku = await plainSku(first);
    const cart = await cartOf(first, sku);
    const placed = await checkout(first, cart);
    assert.equal(placed.status, 201, placed.text);

    await t.test(
      'a second member that has no bus is refused beside a living one with one line, and so is a seed',
      async () => {
        for (const [args, code, line] of [
          [['start'], 78, /^stampede: another node [^\n]+ is alive on this database[^\n]+\n$/],
          [['seed'], 1, /^stampede: [^\n]+\n$/],
        ] as const) {
          const ended = await command(args, {
            ...TEST_SECRETS,
            ...env,
            REDIS_URL: '',
            PORT: String(await freePort()),
            NODE_ID: 'node-2',
            DATA_DIR: first.dataDir,
          });
          assert.equal(ended.code, code);
          assert.match(ended.stderr, line);
        }
        assert.equal((await first.request('GET', '/readyz')).status, 200);
      },
    );

    await t.test('the capture runs as a job', async () => {
      await until('the payment is captured', async () => {
        const read = await first.admin('GET', `/v1/admin/payments?orderId=${placed.body.id}`);
        return read.body.items[0]?.state === 'captured';
      });
    });

    await t.test(
      'after kill -9 the next member waits for a database that resets connections, and another one takes over by itself and has everything',
      async () => {
        first.killAll();
        const busy = await TcpProxy.listen(postgresAt(database.url));
        try {
          busy.behave({ kind: 'refuse' });
          const through = { ...env, DATABASE_URL: throughPort(database.url, busy.port) };
          const starting = ShopProcess.start({ env: through, dataDir: first.dataDir });
          await Promise.race([starting, until('the start waits', () => busy.refused >= 2)]);
          busy.behave({ kind: 'pass' });
          await (await starting).stop();
        } finally {
          await busy.close();
        }
        shop = await ShopProcess.start({ env, dataDir: first.dataDir });
        const read = await shop.request('GET', `/v1/orders/${placed.body.id}`, { token: cart.token });
        assert.equal(read.status, 200, read.text);
        assert.equal(read.body.state, 'confirmed');
        assert.equal(read.body.email, 'shopper@example.com');
      },
    );
  } finally {
    await shop?.stop();
    await shop?.cleanUp();
    await sandbox.close();
    await database.drop();
    await books.drop();
  }
});

async function postmasterPidFile(shop: ShopProcess): Promise<string> {
  const { stdout } = await run('find', [shop.dataDir, '-name', 'postmaster.pid']);
  const file = stdout.trim().split('\n')[0];
  assert.ok(file, 'the embedded database has its pid file under the data directory');
  return file;
}
