/**
 * The embedded PostgreSQL of a data directory, started with room for the connections of peers and of a cluster beside the shop's own; every other setting is
 * the shop's. A process of its own starts it and is then killed: the postmaster lives on, and the shop that starts next adopts it.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startEmbedded } from '../schema/embedded.ts';

const MAX_CONNECTIONS = '200';

export async function startRoomyPostgres(dataDir: string): Promise<void> {
  const starter = fork(fileURLToPath(import.meta.url), ['start', dataDir]);
  const ended = once(starter, 'exit');
  const word = await Promise.race([once(starter, 'message'), ended.then(() => null)]);
  starter.kill('SIGKILL');
  await ended;
  if (word === null) throw new Error('the embedded PostgreSQL could not be started');
}

if (process.send && process.argv[2] === 'start') {
  const log = { info() {}, warn() {}, error() {} };
  await startEmbedded({ dataDir: process.argv[3] ?? '', log, settings: { max_connections: MAX_CONNECTIONS } });
  process.send('up');
}
