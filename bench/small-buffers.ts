/**
 * A place where the kernel keeps little for each socket: a network namespace of its own, with nothing but a loopback, in which a program is run.
 * Only root can make one.
 */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

const BYTES = '4096 8192 16384';
const ENTER = `ip link set lo up && echo "${BYTES}" > /proc/sys/net/ipv4/tcp_wmem && echo "${BYTES}" > /proc/sys/net/ipv4/tcp_rmem`;

/** Null where there can be one; else why not. */
export function smallBuffersMissing(): string | null {
  if (process.getuid?.() !== 0) return 'a network of its own needs root';
  const made = spawnSync('unshare', ['--net', 'sh', '-c', ENTER]).status === 0;
  return made ? null : 'this machine makes no network namespaces (Debian packages util-linux, iproute2)';
}

/** Runs a module of ours there; resolves with what it wrote, rejects with what it complained of. */
export async function withSmallBuffers(module: string, args: readonly string[]): Promise<string> {
  const command = `${ENTER} && exec "$0" "$@"`;
  const node = [process.execPath, '--enable-source-maps', module, ...args];
  const { stdout } = await promisify(execFile)('unshare', ['--net', 'sh', '-c', command, ...node], {
    maxBuffer: 16 * 2 ** 20,
  });
  return stdout;
}
