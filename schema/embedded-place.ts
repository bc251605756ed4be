/**
 * Where the embedded PostgreSQL of a data directory lives, and as whom it runs.
 *
 * As an ordinary user everything is inside the data directory and runs as that user. PostgreSQL refuses to run as root, so
 * there it runs as `nobody` (or as the owner of a database that is there already); and where a directory above is closed to
 * that user, a clone under root's home of mode 0700 for example, the files move to `/var/lib/stampede/<hash of the data directory>`.
 * Such a place is tied to its data directory by a random id in both: one whose data directory was deleted is put aside, not reused.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, readFile, rename, stat } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { DataDirError, writeFileOnce } from './data-dir.ts';

export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

export interface Place {
  /** The data directory's real path. */
  readonly dataDir: string;
  /** The folder that holds the database's files: the data directory, or one outside. */
  readonly home: string;
  readonly pgData: string;
  /** Holds the unix socket, mode 0700: the first of two doors, the second is the password. */
  readonly socketDir: string;
  readonly logFile: string;
  /** Name in the process titles of this cluster's backends; no other cluster has it. */
  readonly clusterName: string;
  /** The user to change to; undefined: stay who we are. */
  readonly runAs: RunAs | undefined;
}

const OUTSIDE = '/var/lib/stampede';
const NOBODY: RunAs = { uid: 65_534, gid: 65_534 };
/** The longest path of a unix socket is 107 bytes on Linux and 103 on macOS. */
const SOCKET_PATH_MAX = 103;
const SOCKET_NAME = '/.s.PGSQL.5432.lock';
/** PostgreSQL cuts `cluster_name` off at 63 bytes, and replaces what is not ASCII. */
const CLUSTER_NAME = /^[\x21-\x7e]{1,63}$/;

/**
 * Finds and makes the place of a prepared data directory (see `prepareDataDir`).
 * @throws DataDirError with one line for the operator.
 */
export async function findPlace(dataDir: string): Promise<Place> {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  const root = process.getuid?.() === 0;
  let runAs = root ? await nobody() : undefined;
  let home = dataDir;
  if (runAs !== undefined) {
    const owner = await ownerOf(join(dataDir, 'pg'));
    if (owner !== undefined && owner.uid !== 0) runAs = owner;
    if (!(await reachable(dataDir, runAs))) home = await outsidePlace(dataDir, join(OUTSIDE, hash));
  }
  const owner = await ownerOf(join(home, 'pg'));
  const self = runAs?.uid ?? process.getuid?.();
  if (owner !== undefined && self !== undefined && owner.uid !== self) {
    throw new DataDirError(
      `the database in ${home} belongs to user ${owner.uid}: ${owner.uid === 0 ? 'give it to nobody' : 'start as that user, or as root'}`,
    );
  }
  const inside = join(home, 'socket');
  const fits = Buffer.byteLength(inside + SOCKET_NAME) <= SOCKET_PATH_MAX;
  const socketDir = fits ? inside : join(tmpdir(), `stampede-${userInfo().uid}-${hash}`);
  await privateDirectory(socketDir, runAs);
  return {
    dataDir,
    home,
    pgData: join(home, 'pg'),
    socketDir,
    logFile: join(dataDir, 'postgres.log'),
    clusterName: CLUSTER_NAME.test(dataDir) ? dataDir : `stampede-${hash}`,
    runAs,
  };
}

/** Whether `user` may pass through every directory down to and above `path` (by mode bits; the path's own do not count). */
export async function reachable(path: string, user: RunAs): Promise<boolean> {
  for (let at = dirname(path); ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

async function outsidePlace(dataDir: string, path: string): Promise<string> {
  const idFile = join(dataDir, 'place.id');
  await writeFileOnce(idFile, randomBytes(16).toString('hex'));
  const id = await readFile(idFile, 'utf8');
  try {
    await mkdir(OUTSIDE, { recursive: true, mode: 0o711 });
    await chmod(OUTSIDE, 0o711);
    await makeClosed(path);
    await writeFileOnce(join(path, 'place.id'), id);
    if ((await readFile(join(path, 'place.id'), 'utf8')) !== id) {
      // Left by a data directory of the same path that was deleted since. A server that still runs in it keeps its files.
      await rename(path, `${path}.of-deleted-${Date.now()}`);
      await makeClosed(path);
      await writeFileOnce(join(path, 'place.id'), id);
    }
  } catch (error) {
    const why = `${dataDir} is closed to the user that PostgreSQL runs as, and ${path} cannot be made`;
    throw new DataDirError(`${why}: ${(error as Error).message}`, error);
  }
  return path;
}

async function makeClosed(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o711 });
  await chmod(path, 0o711);
}

/** A directory that only the server's user may enter; one that somebody else put there first is refused. */
async function privateDirectory(path: string, owner: RunAs | undefined): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const found = await lstat(path);
  const self = process.getuid?.();
  if (!found.isDirectory() || (self !== undefined && found.uid !== self && found.uid !== owner?.uid)) {
    throw new DataDirError(`${path} belongs to user ${found.uid}: remove it`);
  }
  await chmod(path, 0o700);
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
}

async function ownerOf(path: string): Promise<RunAs | undefined> {
  try {
    const { uid, gid } = await stat(path);
    return { uid, gid };
  } catch {
    return undefined;
  }
}

async function nobody(): Promise<RunAs> {
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const [, uid, gid] = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(users) ?? [];
  return uid === undefined || gid === undefined ? NOBODY : { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}
