import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { promisify } from 'node:util';
import { until } from './shop-process.ts';
import { TcpProxy } from './tcp-proxy.ts';

let server: Server;
let proxy: TcpProxy;
let arrived = '';
let accepted: Socket[] = [];

before(async () => {
  server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      arrived += bytes.toString();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.listen({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});
after(async () => {
  await proxy.close();
  for (const socket of accepted) socket.destroy();
  server.close();
});
beforeEach(() => {
  proxy.behave({ kind: 'pass' });
  proxy.cut();
  arrived = '';
  accepted = [];
});

class Client {
  heard = '';
  ended = false;
  readonly socket: Socket;

  constructor() {
    this.socket = connect(proxy.port, '127.0.0.1');
    this.socket.on('data', (bytes) => {
      this.heard += bytes.toString();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.ended = true;
    });
  }

  /** Through to the server and back. */
  async established(): Promise<this> {
    arrived = '';
    this.socket.write('hello ');
    await until('the server is reached', () => arrived.includes('hello '));
    accepted.at(-1)?.write('welcome ');
    await until('the client is reached', () => this.heard.includes('welcome '));
    return this;
  }
}

test('what is stalled one way arrives once it passes again, and the other way goes on meanwhile', async () => {
  const client = await new Client().established();
  proxy.behave({ kind: 'stall', way: 'down' });
  accepted[0]?.write('late');
  client.socket.write('up');
  await until('the way up is open', () => arrived.endsWith('up'));
  assert.equal(client.heard, 'welcome ');
  proxy.behave({ kind: 'pass' });
  await until('it arrives after all', () => client.heard === 'welcome late');
  assert.equal(client.ended, false);
});

test('what is lost never arrives, and the connection is reset once bytes pass again', async () => {
  const client = await new Client().established();
  proxy.behave({ kind: 'lose', way: 'down' });
  accepted[0]?.write('lost');
  client.socket.write('up');
  await until('the way up is open', () => arrived.endsWith('up'));
  proxy.behave({ kind: 'pass' });
  await until('the connection is reset', () => client.ended);
  assert.equal(client.heard, 'welcome ');
});

test('a connection that comes while bytes are stalled is stalled as well', async () => {
  proxy.behave({ kind: 'stall', way: 'up' });
  const client = new Client();
  client.socket.write('held back');
  await until('the server has the connection', () => accepted.length === 1);
  accepted[0]?.write('welcome ');
  await until('the way down is open', () => client.heard === 'welcome ');
  assert.equal(arrived, '');
  proxy.behave({ kind: 'pass' });
  await until('it arrives', () => arrived === 'held back');
});

test('refusing resets what stands and what comes; afterwards connections are taken again', async () => {
  const client = await new Client().established();
  proxy.behave({ kind: 'refuse' });
  await until('the connection is reset', () => client.ended);
  const refused = new Client();
  await until('a new one is reset', () => refused.ended);
  assert.equal(proxy.connections, 0);
  proxy.behave({ kind: 'pass' });
  await new Client().established();
});

test('bytes that are delayed arrive whole and in order', async () => {
  const client = await new Client().established();
  proxy.behave({ kind: 'pass', delayMs: 5 });
  const sent = Array.from({ length: 200 }, (_, index) => `${index},`);
  for (const piece of sent) client.socket.write(piece);
  await until('all have arrived', () => arrived === `hello ${sent.join('')}`);
});

test('it leads to a unix socket as well', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'stampede-proxy-'));
  const path = join(directory, 'socket');
  const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(path);
  await once(echo, 'listening');
  const toSocket = await TcpProxy.listen({ path });
  try {
    const client = connect(toSocket.port, '127.0.0.1').on('error', () => {});
    client.write('there and back');
    assert.equal(String((await once(client, 'data'))[0]), 'there and back');
    toSocket.behave({ kind: 'refuse' });
    await until('the connection is cut', () => client.destroyed);
  } finally {
    await toSocket.close();
    echo.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a client that ends ends at the server as well, and leaves nothing behind', async () => {
  const client = await new Client().established();
  const ended = once(accepted[0] as Socket, 'end');
  client.socket.end();
  await ended;
  accepted[0]?.end();
  await until('no connection stands', () => proxy.connections === 0);
});

/** A proxy that cuts a connection at the very moment at which it has passed on the end of one side. */
const HALF_CLOSED = `
  import { once } from 'node:events';
  import { connect, createServer, Socket } from 'node:net';
  const { TcpProxy } = await import(process.argv[1]);
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await TcpProxy.listen({ host: '127.0.0.1', port: server.address().port });
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  const [accepted] = await once(server, 'connection');
  for (const socket of [accepted, client]) socket.on('error', () => {}).resume();
  const { end } = Socket.prototype;
  Socket.prototype.end = function () {
    end.call(this);
    if (this !== client) proxy.cut();
    return this;
  };
  client.end();
  await once(accepted, 'end');
  await proxy.close();
  for (const socket of [accepted, client]) socket.destroy();
  server.close();
`;

test('a process that cut a connection which was half closed comes to its end', async () => {
  const script = ['--input-type=module', '--eval', HALF_CLOSED, new URL('./tcp-proxy.js', import.meta.url).href];
  await promisify(execFile)(process.execPath, script, { timeout: 30_000 });
});
