/**
 * `npm run bench:load`: the real shop (embedded PostgreSQL, its own processes) under a closed loop at 1, 16, 64 and 256 connections,
 * beside a bare uWebSockets.js echo and a fastify + pg row update, in turn in one run on the same cores. Every ratio stands
 * beside the CPU that generator and servers used per request. Afterwards everything is killed with `kill -9`, the shop is
 * started again, and every acknowledged add is counted.
 *
 * What to look at before believing a row: `failures` (empty), `others` (what programs outside of the run took of the machine's
 * cores: a ratio stands only where it is small, and alike in both), and `generator` (share of one core that the generator used; from
 * 90 % on the row says "generator-limited": the server could have done more).
 *
 *   npm run bench:load [-- --quick] [--seconds 4] [--rounds 3] [--connections 1,64,256]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stockedSku } from './arena.ts';
import { GENERATOR_LIMITED, type Target } from './drive.ts';
import { get, post } from './http-request.ts';
import { machine, median, residentBytes } from './machine.ts';
import { oneRowCommitUs } from './one-row-commit.ts';
import { Peer } from './peer-process.ts';
import { withoutOffers } from './plain-shop.ts';
import { alternate, type Row } from './rounds.ts';
import { DEFAULT_SERVER, scratchDatabase } from './scratch-database.ts';
import { ShopProcess } from './shop-process.ts';
import { missingAdds } from './shop-targets.ts';
import { inParallel, newCart } from './shopper.ts';

export interface LoadOptions {
  readonly connections: readonly number[];
  readonly carts: number;
  readonly secondsEach: number;
  readonly rounds: number;
  readonly server: string;
  readonly tell: (line: string) => void;
}

export interface LoadRow {
  readonly connections: number;
  readonly target: string;
  readonly perSecond: number;
  readonly spread: readonly [number, number];
  readonly p50Us: number;
  readonly p99Us: number;
  readonly serverCpuUs: number;
  readonly generatorCpuUs: number;
  readonly generatorShare: number;
  readonly othersShare: number;
  readonly failures: Readonly<Record<string, number>>;
}

export interface LoadReport {
  readonly machine: string;
  readonly rows: readonly LoadRow[];
  /** These two are null where one connection was not asked for. Of the runs: median add ÷ one-row commit measured right after it. */
  readonly oneRowCommitUs: number | null;
  readonly addToCommit: number | null;
  readonly addToEcho: Readonly<Record<string, number>>;
  readonly readToEcho: Readonly<Record<string, number>>;
  readonly holdToRowUpdate: number;
  readonly firstStartMs: number;
  readonly restartMs: number;
  readonly carts: number;
  readonly acknowledgedAdds: number;
  readonly missingAdds: number;
  readonly residentMiB: number;
}

/** Of each measurement of a one-row commit; a fifth of them is warm-up. */
const COMMITS = 1_500;

export async function benchLoad(options: LoadOptions): Promise<LoadReport> {
  const { tell } = options;
  tell(`machine: ${machine()}`);
  const database = await scratchDatabase(options.server, 'stampede_bench');
  const peers: Peer[] = [];
  const peer = async (file: string, args: readonly string[] = []) => {
    const started = await Peer.start(file, args);
    peers.push(started);
    return started;
  };
  let shop = await ShopProcess.start();
  const firstStartMs = shop.readyMs;
  tell(`first start on an empty directory: ${Math.round(firstStartMs)} ms`);
  try {
    await withoutOffers(shop);
    const echo = await peer('echo');
    const row = await peer('fastify-row', [database.url]);
    const catalogue = (await shop.request('GET', '/v1/products?limit=100')).body.items;
    const sku: string = catalogue.find(
      (p: { holdAt: string; maxPerOrder?: number }) => p.holdAt === 'checkout' && !p.maxPerOrder,
    ).sku;
    const hot = await stockedSku(shop, 'BENCH-HOT', 100_000_000);
    tell(`making ${options.carts} carts`);
    const carts = await inParallel(options.carts, 64, () => newCart(shop));
    const hotCarts = await inParallel(Math.min(options.carts, 2000), 64, () => newCart(shop));
    const adds = new Array<number>(carts.length).fill(0);

    const targets: Record<'echo' | 'add' | 'row' | 'hold' | 'read', Target> = {
      echo: {
        name: 'bare uWebSockets.js echo',
        doors: echo.doors([post('/echo', { sku, quantity: 1 })]),
        pids: () => echo.pids,
      },
      add: {
        name: 'durable, priced add-to-cart',
        doors: [
          {
            port: shop.port,
            requests: carts.map((cart) => post(`/v1/carts/${cart.id}/lines`, { sku, quantity: 1 }, cart)),
          },
        ],
        pids: () => shop.family(),
        onAcknowledged: ([acknowledged = []]) => {
          for (const [index, count] of acknowledged.entries()) adds[index] = (adds[index] ?? 0) + count;
        },
      },
      row: {
        name: 'fastify + pg row update',
        doors: row.doors([post('/hold', { sku: 'hot', quantity: 1 })]),
        pids: () => [...row.pids, ...database.backends()],
      },
      hold: {
        name: 'holds on one hot sku',
        doors: [
          {
            port: shop.port,
            requests: hotCarts.map((cart) => post(`/v1/carts/${cart.id}/lines`, { sku: hot, quantity: 1 }, cart)),
          },
        ],
        pids: () => shop.family(),
      },
      read: {
        name: 'product read',
        doors: [{ port: shop.port, requests: [get(`/v1/products/${sku}`)] }],
        pids: () => shop.family(),
      },
    };
    const rows: LoadRow[] = [];
    const addToEcho: Record<string, number> = {};
    const readToEcho: Record<string, number> = {};
    const commitsUs: number[] = [];
    const addToCommits: number[] = [];
    const common = { rounds: options.rounds, msEach: options.secondsEach * 1000, tell };
    for (const connections of options.connections) {
      const rounds = await alternate([targets.echo, targets.add, targets.read], {
        ...common,
        connections,
        afterRound: async (runs) => {
          if (connections !== 1) return;
          const commitUs = await oneRowCommitUs(database.url, COMMITS);
          commitsUs.push(commitUs);
          addToCommits.push((runs[1]?.latencyUs.p50 ?? Number.NaN) / commitUs);
        },
      });
      rows.push(...rounds.rows.map(loadRow));
      addToEcho[connections] = rounds.ratio(1, 0).value;
      readToEcho[connections] = rounds.ratio(2, 0).value;
    }
    const connections = options.connections.at(-1) ?? 256;
    const holds = await alternate([targets.row, targets.hold], { ...common, connections });
    rows.push(...holds.rows.map(loadRow));
    const holdToRowUpdate = holds.ratio(1, 0).value;
    const residentMiB = residentBytes(shop.child.pid ?? 0) / 2 ** 20;

    tell('kill -9 of everything, then every acknowledged add is counted');
    shop.killAll();
    shop = await ShopProcess.start({ dataDir: shop.dataDir, port: shop.port });
    const missing = await missingAdds(shop, carts, adds);
    const report: LoadReport = {
      machine: machine(),
      rows,
      oneRowCommitUs: commitsUs.length === 0 ? null : median(commitsUs),
      addToCommit: addToCommits.length === 0 ? null : median(addToCommits),
      addToEcho,
      readToEcho,
      holdToRowUpdate,
      firstStartMs,
      restartMs: shop.readyMs,
      carts: carts.length + hotCarts.length,
      acknowledgedAdds: adds.reduce((sum, n) => sum + n, 0),
      missingAdds: missing,
      residentMiB,
    };
    for (const line of describe(report)) tell(line);
    return report;
  } finally {
    for (const peer of peers) peer.close();
    await shop.cleanUp();
    await database.drop();
  }
}

/** What of a row goes into the report. */
function loadRow({ name, connections, perSecond, spread, p50Us, p99Us, ...row }: Row): LoadRow {
  const { serverCpuUs, generatorCpuUs, generatorShare, othersShare, failures } = row;
  return {
    connections,
    target: name,
    perSecond,
    spread,
    p50Us: Math.round(p50Us),
    p99Us: Math.round(p99Us),
    serverCpuUs,
    generatorCpuUs,
    generatorShare,
    othersShare,
    failures,
  };
}

function describe(report: LoadReport): string[] {
  const lines = [
    '',
    `${'conn'.padStart(4)}  ${'target'.padEnd(28)} ${'per s'.padStart(8)} ${'p50 µs'.padStart(8)} ${'p99 µs'.padStart(8)}  server µs/req  generator µs/req  generator  others  failures`,
  ];
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  for (const row of report.rows)
    lines.push(
      `${String(row.connections).padStart(4)}  ${row.target.padEnd(28)} ${Math.round(row.perSecond).toString().padStart(8)} ${row.p50Us.toString().padStart(8)} ${row.p99Us.toString().padStart(8)}  ${row.serverCpuUs.toFixed(0).padStart(13)}  ${row.generatorCpuUs.toFixed(0).padStart(16)}  ${percent(row.generatorShare).padStart(9)}  ${percent(row.othersShare).padStart(6)}  ${JSON.stringify(row.failures)}${row.generatorShare >= GENERATOR_LIMITED ? ' generator-limited' : ''}`,
    );
  const one = report.rows.find((row) => row.connections === 1 && row.target.startsWith('durable'));
  const list = (ratios: Readonly<Record<string, number>>) =>
    Object.entries(ratios)
      .map(([connections, value]) => `${connections} conn ${value.toFixed(2)}`)
      .join(', ');
  lines.push('', `add-to-cart ÷ bare echo: ${list(report.addToEcho)}`);
  lines.push(`product read ÷ bare echo: ${list(report.readToEcho)}`);
  lines.push(`holds on one hot sku ÷ fastify + pg row update: ${report.holdToRowUpdate.toFixed(1)}`);
  if (one && report.oneRowCommitUs !== null && report.addToCommit !== null)
    lines.push(
      `one connection: median add ${one.p50Us} µs, one-row commit ${Math.round(report.oneRowCommitUs)} µs, ratio ${report.addToCommit.toFixed(2)}`,
    );
  lines.push(
    `start: first ${Math.round(report.firstStartMs)} ms, after kill -9 with ${report.carts} carts ${Math.round(report.restartMs)} ms; resident ${Math.round(report.residentMiB)} MiB`,
  );
  lines.push(`acknowledged adds: ${report.acknowledgedAdds}, missing after kill -9: ${report.missingAdds}`);
  return lines;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      connections: { type: 'string' },
      server: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const quick = values.quick === true;
  const report = await benchLoad({
    connections: values.connections?.split(',').map(Number) ?? (quick ? [1, 64] : [1, 16, 64, 256]),
    carts: quick ? 500 : 8000,
    secondsEach: Number(values.seconds ?? (quick ? 1 : 4)),
    rounds: Number(values.rounds ?? (quick ? 1 : 3)),
    server: values.server ?? DEFAULT_SERVER,
    tell: (line) => void process.stdout.write(`${line}\n`),
  });
  if (values.json !== undefined) {
    mkdirSync(dirname(join(process.cwd(), values.json)), { recursive: true });
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  process.exit(report.missingAdds === 0 ? 0 : 1);
}
