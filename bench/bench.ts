/**
 * `npm run bench`: everything that is measured, beside what people would pick instead, in one run on one machine, then the report: `bench/report/index.html`
 * with its raw JSON beside it.
 *
 *   npm run bench [-- --only load,peers] [-- --full] [-- --tiny] [-- --out folder]
 *   npm run bench:peers -- --with vendure,medusa       (installs them outside of the project)
 *   npm run bench -- --profile        (a flame graph of the shop's main thread under adds to carts)
 *   npm run bench -- --compare before.json after.json
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openArena } from './arena.ts';
import { compare, comparisonText } from './compare.ts';
import { type Effort, FULL, TINY, WHOLE } from './effort.ts';
import { machine } from './machine.ts';
import { profileAdds } from './profile.ts';
import { reportPage } from './report.ts';
import { type BenchResult, FORM } from './result.ts';
import { PARTS, type PartName, runSuite } from './suite.ts';
import { WHOLE_SHOPS, type WholeShop } from './whole-shops.ts';

export interface BenchOptions {
  readonly effort: Effort;
  readonly parts: readonly PartName[];
  readonly shops?: readonly WholeShop[];
  readonly command: string;
  readonly tell: (line: string) => void;
  readonly begin?: (part: PartName) => void;
}

export async function bench(options: BenchOptions): Promise<BenchResult> {
  const startedAt = new Date();
  const started = performance.now();
  options.tell(`machine: ${machine()}`);
  const arena = await openArena();
  try {
    const settings = await arena.settings();
    const found = await runSuite({ ...options, arena });
    return {
      form: FORM,
      startedAt: startedAt.toISOString(),
      seconds: (performance.now() - started) / 1000,
      command: options.command,
      machine: machine(),
      versions: versions(),
      settings,
      ...found,
    };
  } finally {
    await arena.close();
  }
}

function versions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const root = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '..' : '../..', import.meta.url));
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const told = (command: string, args: readonly string[]) => {
    try {
      return execFileSync(command, [...args], {
        encoding: 'utf8',
        cwd: root,
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    } catch {
      return 'not found';
    }
  };
  const dependency = (name: string) =>
    own.dependencies[name] ??
    own.devDependencies[name] ??
    (require(`${name}/package.json`) as { version: string }).version;
  return {
    stampede: `${own.version} (${told('git', ['rev-parse', '--short', 'HEAD'])})`,
    node: process.versions.node,
    v8: process.versions.v8,
    'uWebSockets.js': dependency('uWebSockets.js'),
    pg: dependency('pg'),
    fastify: dependency('fastify'),
    ioredis: dependency('ioredis'),
    redis: /v=(\S+)/.exec(told('redis-server', ['--version']))?.[1] ?? 'not found',
    kernel: told('uname', ['-r']),
  };
}

/** As it can be repeated elsewhere: where the report went is left out. */
export function commandOf(args: readonly string[]): string {
  const kept = args.filter((arg, index) => arg !== '--out' && args[index - 1] !== '--out');
  return ['npm run bench', ...(kept.length > 0 ? ['--', ...kept] : [])].join(' ');
}

/** What is told goes on lines of its own; the part that runs, and how far along it is, before each. */
function progress(parts: readonly PartName[]): Pick<BenchOptions, 'tell' | 'begin'> {
  const started = performance.now();
  let part = 'start';
  return {
    begin(name) {
      part = `${parts.indexOf(name) + 1}/${parts.length} ${name}`;
    },
    tell(line) {
      const seconds = Math.round((performance.now() - started) / 1000);
      const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
      process.stdout.write(`[${clock} ${part}] ${line}\n`);
    },
  };
}

function read(file: string): BenchResult {
  const result = JSON.parse(readFileSync(resolve(file), 'utf8')) as BenchResult;
  if (result.form !== FORM) throw new Error(`${file} is of another form: ${result.form}`);
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      full: { type: 'boolean' },
      tiny: { type: 'boolean' },
      out: { type: 'string' },
      compare: { type: 'boolean' },
      profile: { type: 'boolean' },
      with: { type: 'string' },
    },
  });
  if (values.compare === true) {
    const [before, after] = positionals;
    if (before === undefined || after === undefined) throw new Error('--compare takes two files');
    for (const line of comparisonText(compare(read(before), read(after)))) process.stdout.write(`${line}\n`);
  } else if (values.profile === true) {
    const out = resolve(values.out ?? 'bench/report');
    await profileAdds(out, (line) => void process.stdout.write(`${line}\n`));
  } else {
    const asked = values.with?.split(',') ?? [];
    const shops = WHOLE_SHOPS.filter((shop) => asked.includes(shop));
    if (shops.length < asked.length) throw new Error(`--with takes ${WHOLE_SHOPS.join(', ')}`);
    const wanted = [...(values.only?.split(',') ?? PARTS), ...(shops.length > 0 ? ['shops'] : [])];
    const parts = PARTS.filter((part) => wanted.includes(part));
    const out = resolve(values.out ?? 'bench/report');
    const result = await bench({
      effort: values.tiny === true ? TINY : values.full === true ? FULL : WHOLE,
      parts,
      shops,
      command: commandOf(process.argv.slice(2)),
      ...progress(parts),
    });
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'result.json'), `${JSON.stringify(result, null, 1)}\n`);
    writeFileSync(join(out, 'index.html'), reportPage(result));
    process.stdout.write(`${Math.round(result.seconds)} s; the report is ${join(out, 'index.html')}\n`);
    process.exit(result.recount !== null && result.recount.missing > 0 ? 1 : 0);
  }
}
