// The import table of the design, enforced by dependency-cruiser in two passes: over the sources, where an import of a type counts
// too, and over the compiled modules, where only imports of values are left (cycles, and "types only" rules).
// Without its parser the tool sees no module at all and passes, so this script also makes sure that it saw them all.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';

const FOLDERS = ['runtime', 'schema', 'workers', 'payments', 'actors', 'http', 'sim', 'bench'];
const HERE = dirname(fileURLToPath(import.meta.url));
const TABLE = JSON.parse(readFileSync(join(HERE, 'import-table.json'), 'utf8'));

/** All modules with this ending in the project's folders below `root`, as paths relative to `root`. */
export function modules(root, ending) {
  const found = [];
  for (const folder of FOLDERS) {
    let entries = [];
    try {
      entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
    } catch {
      continue;
    }
    for (const entry of entries)
      if (entry.isFile() && entry.name.endsWith(ending))
        found.push(relative(root, join(entry.parentPath ?? entry.path, entry.name)));
  }
  return found.sort();
}

/** Cruises `files` under the rules named `anyImport` or `valueImport`; returns violations as lines and the modules that were missed. */
export async function checkBoundaries(root, rules, files) {
  if (files.length === 0) return { violations: [], missed: [], dependencies: 0 };
  const result = await cruise(files, {
    ...TABLE.options,
    baseDir: root,
    ruleSet: { forbidden: TABLE[rules] },
    validate: true,
  });
  const seen = new Set(result.output.modules.map((module) => module.source));
  return {
    violations: result.output.summary.violations.map((v) => `${v.rule.name}: ${v.from} → ${v.to}`),
    missed: files.filter((file) => !seen.has(file)),
    dependencies: result.output.modules.reduce((sum, module) => sum + module.dependencies.length, 0),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = join(HERE, '..');
  const sources = modules(root, '.ts');
  const built = sources.map((file) => file.replace(/\.ts$/, '.js'));
  const problems = [];
  let dependencies = 0;
  for (const [rules, base, files] of [
    ['anyImport', root, sources],
    ['valueImport', join(root, 'dist'), built],
  ]) {
    const pass = await checkBoundaries(base, rules, files);
    problems.push(...pass.violations, ...pass.missed.map((file) => `not seen by the tool: ${file}`));
    if (pass.dependencies < files.length / 2)
      problems.push(`${rules}: only ${pass.dependencies} imports seen in ${files.length} modules`);
    dependencies += pass.dependencies;
  }
  for (const line of problems) process.stderr.write(`${line}\n`);
  if (sources.length === 0 || problems.length > 0) process.exit(1);
  process.stdout.write(`import table holds: ${sources.length} modules, ${dependencies} imports\n`);
}
