/** A small disk of one's own (a tmpfs) that can be filled to the last byte and freed again. Only root can mount one. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BLOCK_BYTES = 64 * 1024;

/** Null where one can be made; else why not. */
export function smallDiskMissing(): string | null {
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root';
  const disk = SmallDisk.tryMount(1);
  if (disk === null) return 'this machine mounts no tmpfs';
  disk.close();
  return null;
}

export class SmallDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static mount(mebibytes: number): SmallDisk {
    const disk = SmallDisk.tryMount(mebibytes);
    if (disk === null) throw new Error('a tmpfs could not be mounted');
    return disk;
  }

  static tryMount(mebibytes: number): SmallDisk | null {
    const directory = mkdtempSync(join(tmpdir(), 'stampede-disk-'));
    const options = ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0755`, 'tmpfs', directory];
    if (spawnSync('mount', options).status === 0) return new SmallDisk(directory);
    rmSync(directory, { recursive: true });
    return null;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.directory);
    return bavail * bsize;
  }

  /** Takes what is free, to the last block. */
  fill(): void {
    const file = openSync(this.#filler, 'a');
    const block = Buffer.alloc(BLOCK_BYTES);
    try {
      while (writeSync(file, block) > 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.#filler, { force: true });
  }

  close(): void {
    spawnSync('umount', ['-l', this.directory]);
    rmSync(this.directory, { recursive: true, force: true });
  }

  get #filler(): string {
    return join(this.directory, 'filler');
  }
}
