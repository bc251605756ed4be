#!/usr/bin/env node
/**
 * The command line and the composition's outermost ring: it alone reads the environment, prints, and ends the process. What a
 * node is made of is wired in `http/node.ts`. Each command loads what it needs: the sandbox starts in a third of the time without the
 * shop's modules, and the shop waits for it.
 */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import pino from 'pino';
import { ConfigError, parseConfig } from './http/config.ts';
import { boundHeapGrowth } from './http/heap.ts';

const packageFile = new URL(import.meta.url.endsWith('.ts') ? './package.json' : '../package.json', import.meta.url);
const { version, description } = JSON.parse(readFileSync(packageFile, 'utf8')) as {
  version: string;
  description: string;
};

/** Within this time a second signal to stop is the same one come by another way. */
const SAME_SIGNAL_MS = 1_000;

const program = new Command('stampede').description(description).version(version);

program
  .command('start', { isDefault: true })
  .description('run a node: an embedded database and a demo shop unless DATABASE_URL names a database')
  .action(async () => {
    boundHeapGrowth();
    const config = parseConfig(process.env);
    const log = pino(
      { level: config.logLevel, base: { node: config.nodeId } },
      pino.destination({ dest: 2, sync: true }),
    );
    const { openStorage } = await import('./http/storage.ts');
    // The database starts, and recovers where it must, while the rest of the shop is loaded.
    const [storage, { startNode }] = await Promise.all([openStorage(config, log), import('./http/node.ts')]);
    const node = await startNode(config, storage, { log, version, onFatal: (reason) => fail(reason) });
    process.stdout.write(`stampede ${version} serves ${node.url}\n${node.notes.map((note) => `  ${note}\n`).join('')}`);
    let stoppingSince: number | null = null;
    const stop = (signal: NodeJS.Signals) => {
      if (stoppingSince !== null) {
        // Ctrl-C under npm comes twice: from the terminal, and passed on by npm. Only a later one is impatience.
        if (performance.now() - stoppingSince > SAME_SIGNAL_MS) process.exit(1);
        return;
      }
      stoppingSince = performance.now();
      log.info({ signal }, 'draining');
      node.stop().then(
        () => process.exit(0),
        (error: unknown) => fail(`could not stop in order: ${message(error)}`),
      );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });

program
  .command('seed')
  .description('put the demo shop into an empty database (DATABASE_URL); refuses while a member lives')
  .option('--products <n>', 'a large catalogue of this many generated products instead', count)
  .action(async (options: { products?: number }) => {
    const config = parseConfig(process.env);
    if (config.databaseUrl === null)
      throw new ConfigError('DATABASE_URL', 'is required: the embedded database is seeded by `stampede start`');
    const { seedDatabase } = await import('./http/seed.ts');
    const seeded = await seedDatabase(config.databaseUrl, config, options.products ?? null);
    process.stdout.write(`${seeded.products} products with stock are in the database\n`);
  });

program
  .command('sandbox')
  .description('run the sandbox payment provider alone')
  .option('--port <port>', 'port to listen on', count, 8090)
  .option('--host <host>', 'address to listen on', '127.0.0.1')
  .option('--database <url>', 'its PostgreSQL (default: DATABASE_URL)')
  .action(async (options: { port: number; host: string; database?: string }) => {
    const databaseUrl = options.database ?? process.env.SANDBOX_DATABASE_URL ?? process.env.DATABASE_URL;
    if (!databaseUrl) throw new ConfigError('DATABASE_URL', 'is required (or --database)');
    const { startSandbox } = await import('./payments/sandbox-server.ts');
    const sandbox = await startSandbox({ databaseUrl, port: options.port, host: options.host });
    const parent = process.send !== undefined;
    // Started by a node, it tells its port over the channel and ends with its parent, however that ends. A signal to the whole
    // group (Ctrl-C) is the parent's to hear: while that drains, its checkouts still need us.
    process.send?.({ url: sandbox.url });
    process.once('disconnect', () => process.exit(0));
    if (!parent) process.stdout.write(`sandbox payment provider at ${sandbox.url}\n`);
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => void (parent || sandbox.close().finally(() => process.exit(0))));
  });

function count(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('a whole number is expected');
  return Number(text);
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** One line on stderr, no stack: what an operator can act on. */
function fail(reason: string): never {
  process.stderr.write(`stampede: ${reason}\n`);
  process.exit(1);
}

program.parseAsync().catch((error: unknown) => {
  if (process.env.LOG_LEVEL === 'debug' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  fail(message(error));
});
