/**
 * Where a node's data is: an outside PostgreSQL by its URL, or an embedded one under the data directory, together with the
 * secrets that belong to it. Promises a database that is migrated and durable, or an error of one line.
 */
import { loadSecrets, prepareDataDir } from '../schema/data-dir.ts';
import { checkDurability, type Database, openDatabase } from '../schema/database.ts';
import { type Embedded, type EmbeddedLog, startEmbedded } from '../schema/embedded.ts';
import { migrate } from '../schema/migrate.ts';
import { type Config, checkSecret, list, SECRET_NAMES, type SecretName } from './config.ts';

/**
 * Lanes of the journal, one batch in flight for each. Two halve the batches: on 2 cores under adds to carts from 64 connections a row
 * then cost PostgreSQL 71 µs of processor time instead of 45 and the node 107 instead of 79; one lane took 19 % more adds. One lane
 * writes more rows a second than one event loop decides.
 */
export const LANES = 1;

export interface Secrets {
  readonly adminKey: string;
  /** Newest first: the first signs, all verify. */
  readonly tokenSecrets: readonly string[];
  readonly dataKey: Buffer;
}

export interface Storage {
  readonly url: string;
  readonly database: Database;
  /** Names this database among all of ours; made with it. */
  readonly databaseId: string;
  readonly secrets: Secrets;
  /** Absolute; e-mails of a node without SMTP go below it. */
  readonly dataDir: string;
  /** null: an outside server. */
  readonly embedded: Embedded | null;
  /** Closes the connections, and stops the embedded server. */
  close(): Promise<void>;
}

/** @param waiting called, perhaps again and again, when the database is there or on its way and only has to be waited for */
export async function openStorage(config: Config, log: EmbeddedLog, waiting: () => void): Promise<Storage> {
  const dataDir = await prepareDataDir(config.dataDir);
  const outside = config.databaseUrl !== null;
  if (outside) waiting();
  const embedded = outside ? null : await startEmbedded({ dataDir, log, waiting });
  const url = embedded?.url ?? config.databaseUrl ?? '';
  const database = openDatabase({ url, log: (event, detail) => log.warn(detail, event) });
  const close = async () => {
    await database.close();
    await embedded?.stop();
  };
  try {
    await checkDurability(database.db);
    const { clusterId: databaseId } = await migrate(database);
    const secrets = await secretsOf(config, embedded === null ? null : dataDir);
    return { url, database, databaseId, secrets, dataDir, embedded, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

const FILE_OF: Readonly<Record<SecretName, string>> = {
  ADMIN_KEY: 'admin-key',
  TOKEN_SECRET: 'token-secret',
  DATA_KEY: 'data-key',
};

/** What was given, and in embedded mode what is kept in the data directory for the rest. */
async function secretsOf(config: Config, directory: string | null): Promise<Secrets> {
  const missing = SECRET_NAMES.filter((name) => config.secrets[name] === undefined);
  const kept =
    directory === null
      ? {}
      : await loadSecrets(
          directory,
          missing.map((name) => FILE_OF[name]),
        );
  const secret = (name: SecretName) => config.secrets[name] ?? checkSecret(name, kept[FILE_OF[name]] ?? '');
  return {
    adminKey: secret('ADMIN_KEY'),
    tokenSecrets: list(secret('TOKEN_SECRET')),
    dataKey: Buffer.from(secret('DATA_KEY'), 'base64'),
  };
}
