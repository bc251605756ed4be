/**
 * The fault matrix: what is done to a shop of real processes, how often, and what is checked after it. Each row is run by a test of that
 * id in a `*.faults.test.ts` file (`npm run test:faults`), which leaves its figures in `bench/report/faults`; `npm run faults:page` takes them
 * from there into `bench/reliability/figures.json` and writes `RELIABILITY.md`.
 *
 * "The books" are those of `books.ts`: what shoppers were told against the shop, the provider's own books and the journal. Nothing
 * acknowledged is lost or doubled, no sku is oversold, one charge for each order, versions and sequences without a gap, no stale read.
 */
export interface FaultRow {
  readonly id: string;
  /** The test file, without `.faults.test.ts`. */
  readonly file: string;
  /** What is done to it; completes "it was …" for a reader who knows the parts. */
  readonly injected: string;
  readonly times: number;
  readonly checked: string;
}

export const FAULT_MATRIX = [
  {
    id: 'kill-all',
    file: 'stampede.kill',
    injected: '`kill -9` of every process of a single shop, its database’s too, at random times under load',
    times: 20,
    checked: 'the books; it is ready again by itself',
  },
  {
    id: 'kill-node',
    file: 'stampede.cluster',
    injected: '`kill -9` of a random node of three under load',
    times: 30,
    checked: 'the books; every node answers for every shard',
  },
  {
    id: 'pause-node',
    file: 'stampede.cluster',
    injected: 'SIGSTOP of a random node past its lease, SIGCONT after it was taken over',
    times: 10,
    checked: 'the books; it finds itself fenced and joins anew; every node answers for every shard',
  },
  {
    id: 'redis',
    file: 'stampede.cluster',
    injected: 'Redis killed, and started again empty',
    times: 5,
    checked: 'the books; no request hung; every node answers for the others’ carts afterwards',
  },
  {
    id: 'postgres-immediate',
    file: 'stampede.cluster',
    injected: 'PostgreSQL restarted as `-m immediate` does',
    times: 5,
    checked: 'the books; no request hung; nobody was taken over because of it',
  },
  {
    id: 'redis-partition',
    file: 'stampede.cluster',
    injected: 'a partition between one node and Redis: one way, the other, both; by loss and by delay',
    times: 6,
    checked: 'the books; no request hung; every node answers for the others’ carts afterwards',
  },
  {
    id: 'postgres-partition',
    file: 'stampede.cluster',
    injected: 'a partition between one node and PostgreSQL past the lease: one way, the other, both',
    times: 3,
    checked: 'the books; it is taken over, and joins anew',
  },
  {
    id: 'clock',
    file: 'stampede.cluster',
    injected: 'one node’s clock stepped by an hour, ahead and behind, while it runs',
    times: 5,
    checked: 'the books; no request failed; it kept its membership',
  },
  {
    id: 'rolling-restart',
    file: 'stampede.cluster',
    injected: 'a rolling restart of three nodes under load',
    times: 3,
    checked: 'the books; no request that a node took failed',
  },
  {
    id: 'rolling-upgrade',
    file: 'stampede.cluster',
    injected: 'a node replaced by one of the next or the last release under load',
    times: 8,
    checked:
      'the books; events in the version that all read; no actor quarantined; the old release refuses what it cannot read',
  },
  {
    id: 'one-port',
    file: 'stampede.rolling',
    injected: 'a rolling restart of three nodes on one port, writes without keys',
    times: 1,
    checked: 'no request that a node took failed; each write took effect once, in order',
  },
  {
    id: 'disk-full',
    file: 'stampede.database',
    injected: 'PostgreSQL’s disk (a tmpfs of 192 MiB) full to the last byte, then free again',
    times: 3,
    checked: 'the books; meanwhile 503, never another refusal; it goes on by itself',
  },
  {
    id: 'lock-held',
    file: 'stampede.database',
    injected: 'a stranger’s lock on the journal, and on the members’ table, held past every limit',
    times: 4,
    checked: 'the books; no request hung; it goes on by itself',
  },
  {
    id: 'backend-paused',
    file: 'stampede.database',
    injected: 'SIGSTOP of a random PostgreSQL backend of a node, SIGCONT seconds later',
    times: 12,
    checked: 'the books; no request hung',
  },
  {
    id: 'corrupt-row',
    file: 'stampede.database',
    injected:
      'a journal row that cannot be read: bytes of no event, an unknown event, an event of the future; of carts, an order and a sku',
    times: 5,
    checked: 'that actor is quarantined and reported, every other lives; mended, it serves again; the books',
  },
  {
    id: 'worker-thread',
    file: 'stampede.workers',
    injected: 'a worker thread (pricing or lease) of a random node ended under load',
    times: 40,
    checked: 'the books; every priced answer adds up; no node loses its membership; no answer but 200 and 503',
  },
  {
    id: 'charge-and-drop',
    file: 'stampede.payments',
    injected: 'a provider that charges and whose answers are lost on their way, for all cards at once',
    times: 4,
    checked: 'the books: one charge for each order, none for any other',
  },
  {
    id: 'duplicate-notices',
    file: 'stampede.payments',
    injected: 'each payment told of by 5 more notices, duplicates and outdated ones, shuffled, to random nodes',
    times: 5,
    checked: 'every notice is answered; the books: none moved a charge, an order or a cart',
  },
  {
    id: 'stalled-readers',
    file: 'stampede.readers',
    injected: 'subscribers of the stock feed that stop reading',
    times: 200,
    checked:
      'memory stays bounded; all others hear of each sku’s newest version; who reads on is brought up to date, who does not is closed with 4008',
  },
  {
    id: 'ten-times',
    file: 'stampede.overload',
    injected: 'ten times as many checkouts as the shop can do, offered in an open loop',
    times: 1,
    checked: 'goodput at least 0.8 of the peak; back within 30 s; the books of the provider',
  },
  {
    id: 'malformed',
    file: 'stampede.malformed',
    injected: 'malformed requests, bodies and WebSocket frames over raw sockets',
    times: 40_000,
    checked:
      'every answer is a problem or a closed socket; the shop lives, notes no error, and nothing in the database changed',
  },
  {
    id: 'soak',
    file: 'stampede.soak',
    injected: 'a minute of mixed load with random faults (the short form of `npm run soak`)',
    times: 1,
    checked: 'the books; every kind of fault was met; the journal grows with the work',
  },
] as const satisfies readonly FaultRow[];

export type FaultId = (typeof FAULT_MATRIX)[number]['id'];

export function faultRow(id: FaultId): FaultRow {
  const row = FAULT_MATRIX.find((one) => one.id === id);
  if (row === undefined) throw new Error(`the matrix has no row ${id}`);
  return row;
}
