/**
 * A CPU profile of a shop that runs, for so long: Node opens its inspector on SIGUSR1, nothing has to be started in another way. Only one process of a
 * machine can be looked at at a time (the inspector's port is fixed).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { openArena } from './arena.ts';
import { drive } from './drive.ts';
import { type CpuProfile, flameGraph } from './flame-graph.ts';
import { Peer } from './peer-process.ts';
import { pause, until } from './shop-process.ts';
import { shopTargets } from './shop-targets.ts';

const INSPECTOR = 'http://127.0.0.1:9229/json/list';
const INTERVAL_US = 250;
const CONNECTIONS = 64;
const WARM_UP_MS = 2_000;

/** Writes the flame graph of the shop under durable adds, and the profile that it was made from, into a folder. */
export async function profileAdds(out: string, tell: (line: string) => void, durationMs = 8_000): Promise<void> {
  const arena = await openArena();
  const echo = await Peer.start('echo');
  try {
    const { add } = await shopTargets(arena, echo, 2_000);
    const load = drive(add, CONNECTIONS, durationMs + 2 * WARM_UP_MS);
    await pause(WARM_UP_MS);
    const profile = await cpuProfile(arena.shop.child.pid ?? 0, durationMs);
    const run = await load;
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'add.cpuprofile'), JSON.stringify(profile));
    writeFileSync(join(out, 'flame.html'), flameGraph(profile, `Adds to carts at ${CONNECTIONS} connections`));
    tell(`${Math.round(run.perSecond)} adds/s while it was looked at; the flame graph is ${join(out, 'flame.html')}`);
  } finally {
    echo.close();
    await arena.close();
  }
}

export async function cpuProfile(pid: number, durationMs: number): Promise<CpuProfile> {
  process.kill(pid, 'SIGUSR1');
  const url = await until('the inspector listens', async () => {
    const listed = (await fetch(INSPECTOR)
      .then((answer) => answer.json())
      .catch(() => [])) as { webSocketDebuggerUrl: string }[];
    return listed[0]?.webSocketDebuggerUrl;
  });
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 1 << 30 });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  let serial = 0;
  const call = <T>(method: string, params: object = {}): Promise<T> => {
    const id = ++serial;
    return new Promise((resolve, reject) => {
      const heard = (data: Buffer) => {
        const answer = JSON.parse(data.toString());
        if (answer.id !== id) return;
        socket.off('message', heard);
        if (answer.error === undefined) resolve(answer.result);
        else reject(new Error(`${method}: ${answer.error.message}`));
      };
      socket.on('message', heard);
      socket.send(JSON.stringify({ id, method, params }));
    });
  };
  try {
    await call('Profiler.enable');
    await call('Profiler.setSamplingInterval', { interval: INTERVAL_US });
    await call('Profiler.start');
    await pause(durationMs);
    return (await call<{ profile: CpuProfile }>('Profiler.stop')).profile;
  } finally {
    socket.close();
  }
}
