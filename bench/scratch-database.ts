/** A database for one bench run, whose backends can be found: the clocks of their processes are part of what is measured. */
import { execFileSync } from 'node:child_process';
import { scratchDatabase as makeScratch, type ScratchDatabase as Scratch } from '../schema/scratch-database.ts';

export { DEFAULT_SERVER } from '../schema/scratch-database.ts';

export interface ScratchDatabase extends Scratch {
  /** Process ids of the server's backends for this database, where it runs on this machine. */
  backends(): number[];
}

/** @param server URL of the server and of a database to connect to while making the new one. */
export async function scratchDatabase(server?: string, prefix?: string): Promise<ScratchDatabase> {
  const scratch = await makeScratch(server, prefix);
  return { ...scratch, backends: () => processesTitled(scratch.name) };
}

/** PostgreSQL puts a backend's database into its process title. */
function processesTitled(name: string): number[] {
  const listed = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' });
  return listed
    .split('\n')
    .filter((line) => line.includes('postgres:') && line.includes(name))
    .map((line) => Number.parseInt(line, 10));
}
