/**
 * Another clock for one process: libfaketime (Debian package `faketime`) between the process and the system's clock. The offset is in a
 * file that is read again every second, so that the clock can be stepped while the process runs. Only the wall clock is moved: the
 * monotonic one is no clock that an operator could set.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PLACES = ['/usr/lib', '/usr/lib64', '/usr/local/lib'];
const LIBRARY = join('faketime', 'libfaketimeMT.so.1');

/** Null where it is installed; else what to install. */
export function faketimeMissing(): string | null {
  return library() === null ? 'install the Debian package faketime' : null;
}

export class SteppedClock {
  readonly #directory = mkdtempSync(join(tmpdir(), 'stampede-clock-'));
  readonly #file = join(this.#directory, 'offset');

  constructor() {
    this.step(0);
  }

  /** For the process whose clock it is. */
  get env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: library() ?? '',
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** The process's clock goes by this much before (negative: behind) the system's, at the latest a second from now. */
  step(offsetSeconds: number): void {
    writeFileSync(this.#file, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function library(): string | null {
  for (const place of PLACES)
    for (const folder of ['', ...foldersOf(place)])
      if (foldersOf(join(place, folder)).includes('faketime')) return join(place, folder, LIBRARY);
  return null;
}

function foldersOf(place: string): string[] {
  try {
    const entries = readdirSync(place, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}
