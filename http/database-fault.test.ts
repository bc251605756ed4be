import assert from 'node:assert/strict';
import { createConnection, createServer } from 'node:net';
import { test } from 'node:test';
import pg from 'pg';
import { Fault } from '../runtime/fault.ts';
import { databaseFault, faulting } from './database-fault.ts';

function reported(code: string): pg.DatabaseError {
  const error = new pg.DatabaseError('said the server', 0, 'error');
  error.code = code;
  return error;
}

function unavailable(error: unknown): boolean {
  return error instanceof Fault && error.code === 'database_unavailable';
}

test('what the server says of the query stays a mistake of ours', () => {
  for (const code of ['42703', '23505', '22P02', 'XX000', 'P0001']) {
    const error = reported(code);
    assert.equal(databaseFault(error), error, code);
  }
});

test('what it says of itself, and what never came from it, may pass', () => {
  for (const code of ['08006', '25006', '40001', '53300', '55P03', '57P01', '57P03', '58030'])
    assert.ok(unavailable(databaseFault(reported(code))), code);
  for (const code of ['EPIPE', 'EPERM', 'ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT'])
    assert.ok(unavailable(databaseFault(Object.assign(new Error(`write ${code}`), { code }))), code);
  for (const error of [new Error('Connection terminated unexpectedly'), 'no error at all'])
    assert.ok(unavailable(databaseFault(error)), String(error));
});

test('a fault stays itself', async () => {
  const fault = new Fault('overloaded', 'too much');
  await assert.rejects(faulting(() => Promise.reject(fault))(), fault);
});

test('a query over a connection that was cut is a fault, whichever way it is noticed', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'nobody', database: 'none' });
    client.on('error', () => undefined);
    await assert.rejects(faulting(() => client.connect())(), unavailable);
    const socket = createConnection(port, '127.0.0.1');
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
    const write = faulting(
      () => new Promise<void>((resolve, reject) => socket.write('x', (error) => (error ? reject(error) : resolve()))),
    );
    await assert.rejects(write(), unavailable);
  } finally {
    server.close();
  }
});
