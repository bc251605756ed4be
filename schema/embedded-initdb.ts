/**
 * The first start: makes the database's files. They are made in a folder beside the final one and moved there by one rename once
 * `initdb` has synced them, so that files at the final name are always whole: an `initdb` that was killed half-way leaves only
 * a folder that the next start clears away, and of two that run at once the second finds the name taken and discards its own.
 * (`initdb` writes without sync and syncs once at its end, which is as safe as syncing each write, since nothing counts before.)
 */
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { syncDirectory } from './data-dir.ts';
import { type Binaries, EmbeddedError } from './embedded-binaries.ts';
import { OWNER_ROLE } from './embedded-lock.ts';
import type { Place } from './embedded-place.ts';

const run = promisify(execFile);
const PREFIX = 'pg.init-';

/**
 * Makes the database's files unless they are there.
 * @param waiting called where `initdb` is at work.
 * @returns whether this call made them.
 * @throws EmbeddedError `database_version` where they are of another major version, `database_start_failed` where `initdb` fails.
 */
export async function ensureDatabaseFiles(
  place: Place,
  binaries: Binaries,
  password: string,
  waiting?: () => void,
): Promise<boolean> {
  const found = await majorVersion(place);
  if (found === binaries.major) return false;
  if (found !== undefined) {
    const advice = 'dump it with that version, or start the version of Stampede that made it';
    throw new EmbeddedError(
      'database_version',
      `${place.pgData} is of PostgreSQL ${found}, not ${binaries.major}: ${advice}`,
    );
  }
  const temporary = await mkdtemp(join(place.home, PREFIX));
  try {
    const passwordFile = join(temporary, 'password');
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (place.runAs !== undefined) {
      await chown(passwordFile, place.runAs.uid, place.runAs.gid);
      await chown(temporary, place.runAs.uid, place.runAs.gid);
    }
    const made = join(temporary, 'data');
    const initdb = run(binaries.initdb, [...initdbArguments(made), `--pwfile=${passwordFile}`], {
      ...place.runAs,
      cwd: '/',
      env: { LC_ALL: 'C', TZ: 'UTC' },
    });
    waiting?.();
    await initdb;
    await rename(made, place.pgData);
    await syncDirectory(place.home);
    return true;
  } catch (error) {
    if ((await majorVersion(place)) === binaries.major) return false;
    const { stderr, message } = error as Error & { stderr?: string };
    const why = (stderr?.trim() || message).split('\n').find((line) => /error|fatal|could not/i.test(line)) ?? message;
    throw new EmbeddedError('database_start_failed', `initdb failed: ${why}`, error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Removes what killed runs of `initdb` left. For the directory's owner; what is still being written goes at a later start. */
export async function removeHalfMade(place: Place): Promise<void> {
  for (const name of await readdir(place.home)) {
    if (name.startsWith(PREFIX)) await rm(join(place.home, name), { recursive: true, force: true }).catch(() => {});
  }
}

async function majorVersion(place: Place): Promise<string | undefined> {
  try {
    return (await readFile(join(place.pgData, 'PG_VERSION'), 'utf8')).trim();
  } catch {
    return undefined;
  }
}

function initdbArguments(target: string): string[] {
  return [
    `--pgdata=${target}`,
    `--username=${OWNER_ROLE}`,
    '--encoding=UTF8',
    '--locale=C',
    '--auth=scram-sha-256',
    '--data-checksums',
    '--no-instructions',
  ];
}
