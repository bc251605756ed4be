/**
 * The data directory of embedded mode: who may look into it, and the secrets that are generated once and kept in it.
 *
 * The directory belongs to the user who runs the node. As an ordinary user it is closed to everybody else (0700); as root it
 * may be passed through but not listed (0711), because PostgreSQL runs as `nobody` in a folder inside. A secret is a file
 * of mode 0600 that appears whole or not at all, and the first writer wins: two processes that start at the same moment end up
 * with the same secrets. A secret that is there is never replaced, whatever it looks like, since what it encrypted would be lost.
 */
import { randomBytes } from 'node:crypto';
import { chmod, link, lstat, mkdir, open, readFile, realpath, unlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** Why the data directory cannot be used; the message is one line for the operator. */
export class DataDirError extends Error {
  readonly code = 'data_dir_unusable';
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'DataDirError';
  }
}

const SECRET_BYTES = 32;
const SECRET_NAME = /^[a-z][a-z0-9-]{0,62}$/;

/**
 * Makes the directory where it is missing, closes it to others, and returns its real path (absolute, without links).
 * @throws DataDirError where it belongs to another user, is shared (`/tmp`), is a home directory, or cannot be made.
 */
export async function prepareDataDir(path: string): Promise<string> {
  const wanted = resolve(path);
  try {
    await mkdir(wanted, { recursive: true, mode: 0o700 });
    const real = await realpath(wanted);
    const found = await lstat(real);
    const uid = process.getuid?.();
    if (!found.isDirectory()) throw new DataDirError(`the data directory ${wanted} is not a directory`);
    if (uid !== undefined && found.uid !== uid) {
      throw new DataDirError(`the data directory ${wanted} belongs to user ${found.uid}, this process is user ${uid}`);
    }
    // Its mode is about to be narrowed: never that of a place which others rely on.
    const shared = (found.mode & 0o1000) !== 0 || real === dirname(real) || real === homedir() || real === tmpdir();
    if (shared)
      throw new DataDirError(`the data directory ${wanted} is not one of its own: name a directory inside it`);
    await chmod(real, uid === 0 ? 0o711 : 0o700);
    return real;
  } catch (error) {
    if (error instanceof DataDirError) throw error;
    throw new DataDirError(`the data directory ${wanted} cannot be used: ${(error as Error).message}`, error);
  }
}

/**
 * The named secrets of a prepared data directory, each 32 random bytes in base64 (44 characters), generated where missing.
 * @param names lower-case words with dashes; the file is `<name>.secret`.
 * @throws DataDirError where a secret's file is there but cannot be read or holds nothing.
 */
export async function loadSecrets<Name extends string>(
  dataDir: string,
  names: readonly Name[],
): Promise<Record<Name, string>> {
  const secrets = {} as Record<Name, string>;
  for (const name of names) {
    if (!SECRET_NAME.test(name)) throw new DataDirError(`${name} is no name for a secret`);
    const file = join(dataDir, `${name}.secret`);
    secrets[name] = (await readSecret(file)) ?? (await createSecret(file));
  }
  return secrets;
}

async function readSecret(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
    await chmod(file, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new DataDirError(`the secret ${file} cannot be read: ${(error as Error).message}`, error);
  }
  const secret = text.trim();
  if (secret === '')
    throw new DataDirError(`the secret ${file} is empty: restore it from a backup, or remove it to lose it`);
  return secret;
}

async function createSecret(file: string): Promise<string> {
  const secret = randomBytes(SECRET_BYTES).toString('base64');
  await writeFileOnce(file, `${secret}\n`);
  // Another process may have been first: what is on disk counts.
  return (await readSecret(file)) ?? secret;
}

/**
 * Writes a file of mode 0600 that is durable once this resolves, and leaves one that is there already as it is. A `link` in
 * place of a `rename` is what lets the first writer win; the temporary file of a crash is left behind and harmless.
 */
export async function writeFileOnce(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(temporary);
  }
  await syncDirectory(dirname(file));
}

/** Makes the names in a directory durable: without it a file that was synced may have no name after a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
