/** What is measured beside the shop: a small server of `peers/`, in one or several processes of its own, each on a port. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Door } from './generator.ts';
import type { Script } from './journeys.ts';

export class Peer {
  readonly #children: readonly ChildProcess[];
  readonly #ports: readonly number[];

  private constructor(children: readonly ChildProcess[], ports: readonly number[]) {
    this.#children = children;
    this.#ports = ports;
  }

  /** @param file of `peers/`, without its ending */
  static async start(
    file: string,
    args: readonly string[] = [],
    processes = 1,
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<Peer> {
    const path = fileURLToPath(new URL(`./peers/${file}.js`, import.meta.url));
    const children = Array.from({ length: processes }, () => fork(path, args, { env }));
    try {
      return new Peer(children, await Promise.all(children.map(portOf)));
    } catch (error) {
      for (const child of children) child.kill('SIGKILL');
      throw error;
    }
  }

  get pids(): readonly number[] {
    return this.#children.map((child) => child.pid ?? 0);
  }

  /** One for each process; connections are dealt out over them. */
  doors(requests: readonly string[]): Door[] {
    return this.doorsOf({ kind: 'requests', requests });
  }

  doorsOf(script: Script): Door[] {
    return this.#ports.map((port) =>
      script.kind === 'requests' ? { port, requests: script.requests } : { port, script },
    );
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port));
    child.once('exit', (code) => reject(new Error(`a peer ended with ${code}`)));
  });
}
