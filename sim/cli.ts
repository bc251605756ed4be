/**
 * `npm run sim`: runs histories of seeds one after the other and sums up what happened in them; one that fails is shrunk and told how
 * to see it again.
 *
 *   npm run sim -- --seeds 1000 [--from 1]           many seeds; --for 60 instead: as many as there are in 60 s
 *   npm run sim -- --seed 17 [--faults 3,5] [--clients 0,2] [--quiet]   one, with its trace
 *   … [--kinds crash,pause] [--nodes 3] [--length 10000]                only such faults, so many nodes, milliseconds
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import type { Violation } from './journal-oracle.ts';
import { type RunOptions, type RunResult, runSeed } from './run.ts';
import { shrink } from './shrink.ts';
import { Summary } from './summary.ts';

export interface CliOutput {
  /** One line. */
  line(text: string): void;
  /** Replaces what it said before; for people only. */
  progress(text: string): void;
}

/** @returns the exit code: 0 where nothing was violated */
export async function main(args: readonly string[], output: CliOutput): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      for: { type: 'string' },
      seed: { type: 'string' },
      faults: { type: 'string' },
      clients: { type: 'string' },
      kinds: { type: 'string' },
      nodes: { type: 'string' },
      length: { type: 'string' },
      quiet: { type: 'boolean', default: false },
    },
  });
  const shared = {
    ...(values.kinds === undefined ? {} : { kinds: kindsOf(values.kinds) }),
    ...(values.nodes === undefined ? {} : { nodes: whole(values.nodes) }),
    ...(values.length === undefined ? {} : { lengthMs: whole(values.length) }),
  };
  if (values.seed !== undefined) {
    const parts = {
      ...(values.faults === undefined ? {} : { faults: numbers(values.faults) }),
      ...(values.clients === undefined ? {} : { clients: numbers(values.clients) }),
    };
    return showOne({ seed: whole(values.seed), ...shared, ...parts }, values.quiet, output);
  }
  const seconds = values.for === undefined ? null : whole(values.for);
  const count = seconds === null ? whole(values.seeds) : Number.POSITIVE_INFINITY;
  return runMany(whole(values.from), count, seconds, shared, output);
}

async function showOne(options: RunOptions, quiet: boolean, output: CliOutput): Promise<number> {
  const result = await runSeed(options);
  if (!quiet) for (const line of result.history.trace()) output.line(line);
  for (const { oracle, message } of result.violations) output.line(`violated: ${oracle}: ${message}`);
  const { events, simulatedMs, history } = result;
  output.line(
    `seed ${options.seed}: ${events} events, ${history.calls.length} calls, ${history.commits.length} commits in ` +
      `${(simulatedMs / 1000).toFixed(1)} simulated seconds; history ${history.digest()}`,
  );
  return result.violations.length === 0 ? 0 : 1;
}

async function runMany(
  from: number,
  count: number,
  seconds: number | null,
  shared: Omit<RunOptions, 'seed'>,
  output: CliOutput,
): Promise<number> {
  const summary = new Summary();
  const failed: RunResult[] = [];
  for (let done = 0; done < count; done++) {
    if (seconds !== null && summary.seconds >= seconds) break;
    const result = await runSeed({ seed: from + done, ...shared });
    summary.add(result);
    if (result.violations.length > 0) {
      failed.push(result);
      output.line(`seed ${result.seed} failed: ${told(result.violations)}`);
    }
    const share = seconds === null ? (done + 1) / count : summary.seconds / seconds;
    output.progress(`${bar(share)} ${done + 1} histories, ${failed.length} failed`);
  }
  output.progress('');
  for (const line of summary.lines()) output.line(line);
  const [first] = failed;
  if (first !== undefined) await tellLeast(first, shared, output);
  return failed.length === 0 ? 0 : 1;
}

/** The least part of a failing history that fails in the same way, as a command. */
async function tellLeast(result: RunResult, shared: Omit<RunOptions, 'seed'>, output: CliOutput): Promise<void> {
  const { seed, plan, clients, violations } = result;
  const oracle = violations[0]?.oracle;
  output.line(`shrinking seed ${seed} …`);
  const everything = {
    faults: plan.map(({ id }) => id),
    clients: Array.from({ length: clients }, (_, place) => place),
  };
  const { least, runs } = await shrink(everything, async (part) => {
    const smaller = await runSeed({ seed, ...shared, ...part });
    return smaller.violations[0]?.oracle === oracle;
  });
  const left = `${least.faults.length} of ${everything.faults.length} faults, ${least.clients.length} of ${clients} clients`;
  output.line(`after ${runs} runs: ${left}`);
  output.line(
    `  npm run sim -- --seed ${seed} --faults '${least.faults}' --clients '${least.clients}'${again(shared)}`,
  );
}

function again({ kinds, nodes, lengthMs }: Omit<RunOptions, 'seed'>): string {
  const parts = [
    kinds === undefined ? '' : ` --kinds ${kinds}`,
    nodes === undefined ? '' : ` --nodes ${nodes}`,
    lengthMs === undefined ? '' : ` --length ${lengthMs}`,
  ];
  return parts.join('');
}

function told(violations: readonly Violation[]): string {
  const [first] = violations;
  return first === undefined ? 'nothing' : `${first.oracle}: ${first.message}`;
}

function bar(share: number): string {
  const full = Math.min(30, Math.floor(share * 30));
  return `[${'#'.repeat(full)}${'.'.repeat(30 - full)}]`;
}

function whole(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`not a whole number: ${text}`);
  return number;
}

function numbers(text: string): number[] {
  return text === '' ? [] : text.split(',').map(whole);
}

function kindsOf(text: string): FaultKind[] {
  return text.split(',').map((name) => {
    if (!(name in FAULT_KINDS))
      throw new Error(`no such fault: ${name}; there are ${Object.keys(FAULT_KINDS).join(' ')}`);
    return name as FaultKind;
  });
}

/** For a log: a line a minute. */
const LOGGED_MS = 60_000;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  let loggedAt = performance.now();
  process.exitCode = await main(process.argv.slice(2), {
    line: (text) => process.stdout.write(`${text}\n`),
    progress: (text) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
      else if (performance.now() - loggedAt >= LOGGED_MS) {
        loggedAt = performance.now();
        process.stderr.write(`${text}\n`);
      }
    },
  });
}
