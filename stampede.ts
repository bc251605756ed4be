#!/usr/bin/env -S node --enable-source-maps --max-semi-space-size=64
/**
 * The command line and the composition's outermost ring: it alone reads the environment, prints, and ends the process. What a
 * node is made of is wired in `http/node.ts`. Each command loads what it needs: the sandbox starts in a third of the time without the
 * shop's modules, and the shop waits for it.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import pino, { type Logger } from 'pino';
import { CONFIG_EXIT_CODE, type Config, ConfigError, parseConfig } from './http/config.ts';
import { boundHeapGrowth } from './http/heap.ts';
import type { ChildWord } from './http/supervisor.ts';
import { Refusal } from './runtime/refusal.ts';

const packageFile = new URL(import.meta.url.endsWith('.ts') ? './package.json' : '../package.json', import.meta.url);
const { version, description } = JSON.parse(readFileSync(packageFile, 'utf8')) as {
  version: string;
  description: string;
};

/** Who is told how the start went, and why it ended. */
interface Terminal {
  serving(url: string, notes: readonly string[]): void;
  /** Ends the process. */
  failed(reason: string, exitCode: number): void;
}

let terminal: Terminal = {
  serving(url, notes) {
    process.stdout.write(`stampede ${version} serves ${url}\n${notes.map((note) => `  ${note}\n`).join('')}`);
  },
  failed(reason, exitCode) {
    process.stderr.write(`stampede: ${reason}\n`);
    process.exit(exitCode);
  },
};

/** Under `--nodes`: the supervisor speaks for all. */
const parentProcess: Terminal = {
  serving(_url, notes) {
    tell({ kind: 'serving', notes }, () => {});
  },
  failed(reason, exitCode) {
    tell({ kind: 'ended', reason, configuration: exitCode === CONFIG_EXIT_CODE }, () => process.exit(exitCode));
  },
};

function tell(word: ChildWord, then: () => void): void {
  // Should the parent be gone, nobody is left to tell.
  if (process.send === undefined || !process.connected) then();
  else process.send(word, then);
}

/** Within this time a second signal to stop is the same one come by another way. */
const SAME_SIGNAL_MS = 1_000;

const program = new Command('stampede').description(description).version(version);

program
  .command('start', { isDefault: true })
  .description('run a node: an embedded database and a demo shop unless DATABASE_URL names a database')
  .option(
    '--nodes <n>',
    'this many nodes on one port, on DATABASE_URL and REDIS_URL; those that die are started again',
    count,
  )
  .addOption(new Option('--supervised', 'tell the parent process instead of the terminal').hideHelp())
  .action((options: { nodes?: number; supervised?: true }) => {
    if (options.supervised) terminal = parentProcess;
    const config = parseConfig(process.env);
    const log = pino(
      { level: config.logLevel, base: { node: options.nodes === undefined ? config.nodeId : 'supervisor' } },
      pino.destination({ dest: 2, sync: true }),
    );
    return options.nodes === undefined ? startOne(config, log) : startSeveral(config, options.nodes, log);
  });

async function startOne(config: Config, log: Logger): Promise<void> {
  boundHeapGrowth();
  const [{ openStorage }, { patiently }] = await Promise.all([
    import('./http/storage.ts'),
    import('./http/patient-start.ts'),
  ]);
  const attempt = async () => {
    // The database starts, and recovers where it must, while the rest of the shop is loaded; not before, or loading would hold up its start.
    let waiting: () => void = () => {};
    const launched = new Promise<void>((resolve) => {
      waiting = resolve;
    });
    const opening = openStorage(config, log, waiting);
    await Promise.race([launched, opening]);
    const [storage, { startNode }] = await Promise.all([opening, import('./http/node.ts')]);
    return await startNode(config, storage, { log, version, onFatal: fail });
  };
  // Our own database is waited for by who starts it.
  const node = config.databaseUrl === null ? await attempt() : await patiently(attempt, { log, wanted });
  terminal.serving(node.url, node.notes);
  let stoppingSince: number | null = null;
  const stop = (signal: string) => {
    if (stoppingSince !== null) {
      // Ctrl-C under npm comes twice: from the terminal, and passed on by npm. Only a later one is impatience.
      if (performance.now() - stoppingSince > SAME_SIGNAL_MS) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    log.info({ signal }, 'draining');
    node.stop().then(
      () => process.exit(0),
      (error: unknown) => fail(new Error(`could not stop in order: ${message(error)}`)),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // The supervisor has gone, however it ended; or it had, before this one was ready.
  process.once('disconnect', () => stop('disconnect'));
  if (!wanted()) stop('disconnect');
}

/** False once the supervisor has gone: nobody would stop what is started then. */
function wanted(): boolean {
  return terminal !== parentProcess || process.connected;
}

async function startSeveral(config: Config, nodes: number, log: Logger): Promise<void> {
  const { NODES_MAX, startSupervisor } = await import('./http/supervisor.ts');
  if (nodes < 1 || nodes > NODES_MAX) throw new ConfigError('--nodes', `must be 1 to ${NODES_MAX}`);
  if (config.databaseUrl === null || config.redisUrl === null)
    throw new ConfigError('--nodes', 'needs DATABASE_URL and REDIS_URL: what the nodes share, and how they talk');
  const supervisor = await startSupervisor({
    ...config,
    nodes,
    nodePrefix: process.env.NODE_ID?.trim() ? config.nodeId : 'node',
    entry: fileURLToPath(import.meta.url),
    environment: process.env,
    log,
    onServing: (url, notes) => terminal.serving(url, [`${nodes} nodes`, ...notes]),
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => supervisor.stop(signal));
  const refusal = await supervisor.ended;
  if (refusal !== null) terminal.failed(refusal, CONFIG_EXIT_CODE);
  else process.exit(0);
}

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
  .command('cluster')
  .description('show members, leases, shards, hand-offs and lag as the database has them, also where no node runs')
  .option('--database <url>', 'the PostgreSQL of the cluster (default: DATABASE_URL)')
  .action(async (options: { database?: string }) => {
    const url = options.database ?? process.env.DATABASE_URL;
    if (!url) throw new ConfigError('DATABASE_URL', 'is required (or --database)');
    const [{ openDatabase }, { readCluster }, { clusterText }] = await Promise.all([
      import('./schema/database.ts'),
      import('./schema/cluster-view.ts'),
      import('./http/cluster-text.ts'),
    ]);
    const database = openDatabase({ url, poolSize: 1 });
    try {
      process.stdout.write(clusterText(await readCluster(database.db)));
    } finally {
      await database.close();
    }
  });

program
  .command('sandbox')
  .description('run the sandbox payment provider alone')
  .option('--port <port>', 'port to listen on', count, 8090)
  .option('--host <host>', 'address to listen on', '127.0.0.1')
  .option('--database <url>', 'its PostgreSQL (default: DATABASE_URL)')
  .option(
    '--webhook-url <url>',
    "where a shop takes notices: its address and /v1/webhooks/payments (default: nobody's)",
  )
  .option('--webhook-secret <secret>', 'signs them (default: the first of PAYMENT_WEBHOOK_SECRET)')
  .action(async (options: SandboxCommand) => {
    const databaseUrl = options.database ?? process.env.SANDBOX_DATABASE_URL ?? process.env.DATABASE_URL;
    if (!databaseUrl) throw new ConfigError('DATABASE_URL', 'is required (or --database)');
    const { startSandbox } = await import('./payments/sandbox-server.ts');
    const { port, host } = options;
    const sandbox = await startSandbox({ databaseUrl, port, host, notices: noticesOf(options, process.env) });
    const parent = process.send !== undefined;
    // Started by a node, it tells its port over the channel and ends with its parent, however that ends. A signal to the whole
    // group (Ctrl-C) is the parent's to hear: while that drains, its checkouts still need us.
    process.send?.({ url: sandbox.url });
    process.once('disconnect', () => process.exit(0));
    if (!parent) process.stdout.write(`sandbox payment provider at ${sandbox.url}\n`);
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => void (parent || sandbox.close().finally(() => process.exit(0))));
  });

interface SandboxCommand {
  readonly port: number;
  readonly host: string;
  readonly database?: string;
  readonly webhookUrl?: string;
  readonly webhookSecret?: string;
}

function noticesOf({ webhookUrl, webhookSecret }: SandboxCommand, env: NodeJS.ProcessEnv) {
  if (webhookUrl === undefined) return undefined;
  if (!URL.canParse(webhookUrl)) throw new InvalidArgumentError('--webhook-url must be a URL');
  const { paymentWebhookSecrets } = parseConfig({
    PAYMENT_WEBHOOK_SECRET: webhookSecret ?? env.PAYMENT_WEBHOOK_SECRET,
  });
  const [secret] = paymentWebhookSecrets;
  if (secret === undefined) throw new ConfigError('PAYMENT_WEBHOOK_SECRET', 'is required (or --webhook-secret)');
  return { url: webhookUrl, secret };
}

function count(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('a whole number is expected');
  return Number(text);
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** One line, no stack: what an operator can act on. */
function fail(error: unknown): void {
  if (process.env.LOG_LEVEL === 'debug' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  terminal.failed(message(error), error instanceof Refusal ? CONFIG_EXIT_CODE : 1);
}

program.parseAsync().catch(fail);
