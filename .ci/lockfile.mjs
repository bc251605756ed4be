// Completes package-lock.json with the optional packages of other platforms. npm leaves them out of the lockfile where the registry
// it asked does not carry them (a mirror of some platforms only), and `npm ci` then refuses the lockfile on every machine. An entry
// added here has the version that its parent pins and the platform that its name says, but no integrity: that is not known here, and a
// machine of that platform takes what its registry signs.
//   node .ci/lockfile.mjs [--write]     (without --write: says what is missing, and exits 1 where something is)
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'openbsd', 'sunos', 'win32'];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

/** Platform packages are pinned to one version by their parents; of a range we take whatever stands there. */
const isExact = (version) => /^\d+\.\d+\.\d+[\w.+-]*$/.test(version);

/** Where `name`, asked for by the package at `from`, stands or should stand: `{ place, entry }`, `entry` undefined where it is missing. */
function lookUp(packages, from, name, version) {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf('node_modules/') - 1))) {
    const place = `${base === '' ? '' : `${base}/`}node_modules/${name}`;
    const entry = packages[place];
    if (entry !== undefined && (entry.version === version || !isExact(version))) return { place, entry };
    if (entry !== undefined) return { place: `${from}/node_modules/${name}`, entry: undefined };
    if (base === '') return { place, entry: undefined };
  }
}

/** Optional dependencies that no entry of the lockfile stands for, with the entries of their kin (same parent). */
export function missingOptional(lock) {
  const { packages } = lock;
  const missing = [];
  for (const [from, parent] of Object.entries(packages)) {
    if (from === '') continue;
    const wanted = Object.entries(parent.optionalDependencies ?? {});
    const kin = wanted.map(([name, version]) => [name, lookUp(packages, from, name, version).entry]);
    for (const [name, version] of wanted) {
      const { place, entry } = lookUp(packages, from, name, version);
      if (entry === undefined) missing.push({ from, name, version, place, kin: kin.filter(([, found]) => found) });
    }
  }
  return missing;
}

/** Adds what is missing; throws where a name does not say its platform. Returns the places added. */
export function complete(lock) {
  const added = [];
  for (let missing = missingOptional(lock); missing.length > 0; missing = missingOptional(lock)) {
    const [{ name, version, place, kin }] = missing;
    if (!isExact(version)) throw new Error(`${name} is not pinned to one version: ${version}`);
    const words = name.slice(name.lastIndexOf('/') + 1).split(/[-.]/);
    const os = SYSTEMS.filter((word) => words.includes(word));
    const cpu = PROCESSORS.filter((word) => words.includes(word));
    if (os.length !== 1 || cpu.length !== 1) throw new Error(`the name ${name} does not say its platform`);
    const last = words.at(-1);
    const [, model] = kin.find(([other]) => other.endsWith(`-${last}`)) ?? kin[0] ?? [];
    if (model === undefined) throw new Error(`nothing is known of the kin of ${name}`);
    const { integrity, libc, ...rest } = model;
    const saysLibc = os[0] === 'linux' && kin.some(([, found]) => found.libc !== undefined);
    const entry = {
      ...rest,
      version,
      cpu,
      os,
      ...(saysLibc ? { libc: [words.includes('musl') ? 'musl' : 'glibc'] } : {}),
    };
    lock.packages[place] = Object.fromEntries(Object.entries(entry).sort(([a], [b]) => order(a) - order(b)));
    added.push(place);
  }
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')));
  return added;
}

const ORDER = ['version', 'integrity', 'cpu', 'dev', 'libc', 'license', 'optional', 'os', 'engines'];
const order = (key) => ORDER.indexOf(key);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = JSON.parse(readFileSync(FILE, 'utf8'));
  const missing = missingOptional(lock);
  for (const { name, version, from } of missing) process.stdout.write(`missing: ${name}@${version} of ${from}\n`);
  if (process.argv.includes('--write')) {
    complete(lock);
    writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
  } else if (missing.length > 0) process.exit(1);
}
