/**
 * A batch as the parameters of the `append` function, in the order of `APPEND_PARAMETERS`. Parts without rows are NULL,
 * so that the function skips them.
 *
 * An upsert may not touch one row twice, so rows that replace each other are collapsed to the last of their key here.
 */
import type { ActorRef } from '../runtime/actor.ts';
import type { Batch } from '../runtime/journal.ts';
import { READ_TABLES } from './append.ts';
import type { BinaryArrayWriter } from './binary-array.ts';

export interface Writer {
  readonly incarnation: string;
  readonly lane: number;
  readonly gen: number;
}

const typeOf = (row: ActorRef): string => row.type;
const idOf = (row: { readonly id: string }): string => row.id;
const actorOf = (row: ActorRef): string => `${row.type}\u0000${row.id}`;

const nulls = (count: number): null[] => new Array<null>(count).fill(null);

/** Nothing but events is in the batch: `append_events` takes it. */
export function isOnlyEvents(batch: Batch): boolean {
  const { events, snapshots, timers, outboxAdd, outboxClose, answers, projections } = batch;
  const others = snapshots.length + timers.length + outboxAdd.length + outboxClose.length + answers.length;
  return events.length > 0 && others + projections.length === 0;
}

/** The parameters of `append_events`; as `encodeAppend` otherwise. */
export function encodeOnlyEvents(arrays: BinaryArrayWriter, writer: Writer, batch: Batch): unknown[] {
  arrays.reset();
  return [writer.incarnation, writer.lane, writer.gen, ...encodeEvents(arrays, batch.events)];
}

/** Throws a `RangeError` on what no column can hold. The parameters are valid until `arrays` is reset. */
export function encodeAppend(arrays: BinaryArrayWriter, writer: Writer, batch: Batch): unknown[] {
  arrays.reset();
  const unknownTable = batch.projections.find((row) => !READ_TABLES.some((table) => table === row.table));
  if (unknownTable !== undefined) throw new RangeError(`there is no read table ${unknownTable.table}`);
  return [
    writer.incarnation,
    writer.lane,
    writer.gen,
    ...encodeEvents(arrays, batch.events),
    ...encodeSnapshots(arrays, lastOfEach(batch.snapshots, actorOf)),
    ...encodeTimers(arrays, lastOfEach(batch.timers, actorOf)),
    ...encodeOutbox(arrays, batch.outboxAdd, batch.outboxClose),
    ...encodeAnswers(
      arrays,
      lastOfEach(batch.answers, (row) => `${actorOf(row)}\u0000${row.keyHash}`),
    ),
    ...READ_TABLES.flatMap((table) => encodeProjections(arrays, table, batch.projections)),
  ];
}

function encodeEvents(arrays: BinaryArrayWriter, rows: Batch['events']): unknown[] {
  if (rows.length === 0) return nulls(8);
  return [
    arrays.text(rows, typeOf),
    arrays.text(rows, idOf),
    arrays.int8(rows, (row) => row.seq),
    arrays.int8(rows, (row) => row.epoch),
    arrays.int8(rows, (row) => row.at),
    arrays.int4(rows, (row) => row.shard),
    arrays.int4(rows, (row) => row.version),
    arrays.bytea(rows, (row) => row.payload),
  ];
}

function encodeSnapshots(arrays: BinaryArrayWriter, rows: Batch['snapshots']): unknown[] {
  if (rows.length === 0) return nulls(5);
  return [
    arrays.text(rows, typeOf),
    arrays.text(rows, idOf),
    arrays.int8(rows, (row) => row.seq),
    arrays.int4(rows, (row) => row.version),
    arrays.bytea(rows, (row) => row.payload),
  ];
}

function encodeTimers(arrays: BinaryArrayWriter, rows: Batch['timers']): unknown[] {
  if (rows.length === 0) return nulls(4);
  return [
    arrays.text(rows, typeOf),
    arrays.text(rows, idOf),
    arrays.int4(rows, (row) => row.shard),
    arrays.int8(rows, (row) => row.due),
  ];
}

function encodeOutbox(arrays: BinaryArrayWriter, add: Batch['outboxAdd'], close: Batch['outboxClose']): unknown[] {
  const added =
    add.length === 0
      ? nulls(4)
      : [
          arrays.text(add, idOf),
          arrays.int4(add, (row) => row.shard),
          arrays.text(add, (row) => row.job),
          arrays.text(add, (row) => JSON.stringify(row.doc)),
        ];
  return [...added, close.length === 0 ? null : arrays.text(close, (id) => id)];
}

function encodeAnswers(arrays: BinaryArrayWriter, rows: Batch['answers']): unknown[] {
  if (rows.length === 0) return nulls(6);
  return [
    arrays.text(rows, typeOf),
    arrays.text(rows, idOf),
    arrays.text(rows, (row) => row.keyHash),
    arrays.text(rows, (row) => row.fingerprint),
    arrays.bytea(rows, (row) => row.payload),
    arrays.int8(rows, (row) => row.at),
  ];
}

function encodeProjections(arrays: BinaryArrayWriter, table: string, all: Batch['projections']): unknown[] {
  const ofTable = all.filter((row) => row.table === table);
  if (ofTable.length === 0) return nulls(3);
  const rows = lastOfEach(ofTable, (row) => row.key);
  return [
    arrays.text(rows, (row) => row.key),
    arrays.int8(rows, (row) => row.version),
    arrays.text(rows, (row) => (row.doc === null ? null : JSON.stringify(row.doc))),
  ];
}

function lastOfEach<Row>(rows: readonly Row[], keyOf: (row: Row) => string): readonly Row[] {
  if (rows.length < 2) return rows;
  const last = new Map<string, Row>();
  for (const row of rows) last.set(keyOf(row), row);
  return last.size === rows.length ? rows : [...last.values()];
}
