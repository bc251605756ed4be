/** The embedded PostgreSQL of a shop that runs, as another client of it finds it: so that peers are measured on the very same server. */
import { loadSecrets } from '../schema/data-dir.ts';
import { DATABASE, OWNER_ROLE } from '../schema/embedded-lock.ts';
import { findPlace } from '../schema/embedded-place.ts';

/** Its URL, over the unix socket that the shop uses too. */
export async function embeddedServer(dataDir: string): Promise<string> {
  const secrets = await loadSecrets(dataDir, ['database-password']);
  const { socketDir } = await findPlace(dataDir);
  const password = encodeURIComponent(secrets['database-password']);
  return `postgres://${OWNER_ROLE}:${password}@localhost/${DATABASE}?host=${encodeURIComponent(socketDir)}`;
}
