/**
 * What is measured beside the shop and is no part of the project: installed by npm into a folder of its own under the machine's folder for temporary files,
 * kept there by its versions, so that a second run finds it. A folder has its name only once it is complete; install scripts are not run. What cannot be
 * installed is told in one line.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const INSTALL_MS = 900_000;
const TASK_MS = 600_000;
const OUTPUT_MAX = 64 * 1024 * 1024;
const REASON_MAX = 300;

/** @param name what it is called where it cannot be installed. @param env of npm. @returns the folder that has `node_modules` */
export async function installed(
  name: string,
  packages: readonly string[],
  tell: (line: string) => void,
  env = process.env,
): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([packages, process.versions.modules, process.getuid?.()]))
    .digest('hex')
    .slice(0, 12);
  const folder = join(tmpdir(), `stampede-peer-${key}`);
  if (existsSync(folder)) {
    // Others can write to the folder for temporary files: what is run must be one's own.
    if (!lstatSync(folder).isDirectory() || lstatSync(folder).uid !== process.getuid?.())
      throw new Error(`${name}: ${folder} belongs to somebody else`);
    return folder;
  }
  tell(`installing ${packages.join(' ')} into ${folder}`);
  const making = mkdtempSync(`${folder}-`);
  try {
    writeFileSync(join(making, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...packages];
    await runIn(making, 'npm', args, env, INSTALL_MS).catch((error: unknown) => {
      throw new Error(`${name} could not be installed: ${reasonOf(error)}`);
    });
    // Another run may have been faster.
    if (!existsSync(folder)) renameSync(making, folder);
    return folder;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** A folder for one run, in which everything that is installed can be required and what is written is the run's own. */
export function workFolder(installation: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'stampede-peer-run-'));
  copyFileSync(join(installation, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(installation, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Runs a script of Node's to its end; a failure is told by what it said last. */
export async function task(
  what: string,
  folder: string,
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<void> {
  await runIn(folder, process.execPath, [script, ...args], env, TASK_MS).catch((error: unknown) => {
    throw new Error(`${what} failed: ${reasonOf(error)}`);
  });
}

function runIn(cwd: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv, timeout: number) {
  return promisify(execFile)(command, [...args], { cwd, env, timeout, maxBuffer: OUTPUT_MAX });
}

/** npm says why first and where its log is last; other programs say why last. */
function reasonOf(error: unknown): string {
  const { stderr = '', stdout = '', message } = error as { stderr?: string; stdout?: string; message: string };
  const [onError, onOutput] = [stderr, stdout].map((text) => text.split('\n').filter((line) => line.trim() !== ''));
  const lines = onError?.length ? onError : (onOutput ?? []);
  const ofNpm = lines.filter((line) => line.startsWith('npm error')).slice(0, 2);
  const said = ofNpm.length > 0 ? ofNpm.map((line) => line.slice('npm error '.length)) : lines.slice(-1);
  return (said.length > 0 ? said.join(' ') : message).slice(0, REASON_MAX);
}
