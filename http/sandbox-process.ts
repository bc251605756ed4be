/**
 * The sandbox payment provider beside an embedded shop: a process of its own, on the same database server under its own role,
 * started again with back-off when it ends. It keeps its port over restarts, so the shop's address for it stays true, and it
 * ends with the shop, however that ends (the channel between them closes).
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { EmbeddedLog } from '../schema/embedded.ts';

export interface SandboxProcess {
  readonly url: string;
  stop(): void;
}

const STARTED_WITHIN_MS = 20_000;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5_000;

/** @param entry the built `stampede.js` */
export async function startSandboxProcess(
  entry: string,
  databaseUrl: string,
  log: EmbeddedLog,
): Promise<SandboxProcess> {
  let child: ChildProcess;
  let stopped = false;
  let failures = 0;

  const run = (port: number): ChildProcess => {
    const started = fork(entry, ['sandbox', '--port', String(port)], {
      // Nothing else of the shop's environment: its secrets are no business of a payment provider.
      // By the environment: a command line is shown to every user of the machine, and the address holds a password.
      env: { SANDBOX_DATABASE_URL: databaseUrl },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: ['--enable-source-maps'],
    });
    started.once('error', (error) =>
      log.error({ error: error.message }, 'the sandbox payment provider cannot be started'),
    );
    return started;
  };
  const watch = (watched: ChildProcess, port: number) => {
    watched.once('message', () => {
      failures = 0;
    });
    watched.once('exit', (code, signal) => {
      if (stopped) return;
      const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** failures++);
      log.warn({ code, signal, delayMs }, 'the sandbox payment provider ended and is started again');
      setTimeout(() => {
        if (stopped) return;
        child = run(port);
        watch(child, port);
      }, delayMs).unref();
    });
  };

  child = run(0);
  const url = await firstAddress(child);
  watch(child, Number(new URL(url).port));
  return {
    url,
    stop() {
      stopped = true;
      if (child.connected) child.disconnect();
    },
  };
}

function firstAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error('the sandbox payment provider did not start in time'));
    }, STARTED_WITHIN_MS);
    child.once('message', (message: { url: string }) => {
      clearTimeout(late);
      resolve(message.url);
    });
    child.once('exit', (code) => {
      clearTimeout(late);
      reject(new Error(`the sandbox payment provider ended with ${code} at its start`));
    });
  });
}
