/**
 * Lints the OpenAPI document of the whole table of routes with redocly's recommended rules, warnings counted as errors. Run by `npm run check`; the exit code
 * is the linter's. `lintDocument` is also what the tests call with a smaller table.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { App } from './app.ts';
import { openApiDocument } from './openapi.ts';
import type { AnyRoute } from './route.ts';
import { allRoutes } from './routes/index.ts';

/** Strict: what would be a warning fails as well. */
const CONFIG = 'extends:\n  - recommended-strict\ntelemetry: off\n';
/** What the rules cannot know: the feed's success is 101, Switching Protocols. */
const IGNORED = "openapi.json:\n  operation-2xx-response:\n    - '#/paths/~1v1~1feed/get/responses'\n";

export interface LintResult {
  readonly ok: boolean;
  readonly output: string;
}

/** Writes the document to a folder of its own, lints it, and leaves nothing behind. */
export function lintDocument(document: object): LintResult {
  const folder = mkdtempSync(join(tmpdir(), 'stampede-openapi-'));
  try {
    const file = join(folder, 'openapi.json');
    const config = join(folder, 'redocly.yaml');
    writeFileSync(file, JSON.stringify(document));
    writeFileSync(config, CONFIG);
    writeFileSync(join(folder, '.redocly.lint-ignore.yaml'), IGNORED);
    const run = spawnSync(process.execPath, [linter(), 'lint', file, '--config', config, '--format', 'stylish'], {
      encoding: 'utf8',
    });
    return { ok: run.status === 0, output: `${run.stdout}${run.stderr}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function linter(): string {
  const require = createRequire(import.meta.url);
  const manifest = require.resolve('@redocly/cli/package.json');
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Record<string, string> };
  return join(dirname(manifest), bin.redocly ?? '');
}

function packageOf(folder: string, name: string): string {
  const manifest = join(folder, 'package.json');
  if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === name)
    return manifest;
  const above = dirname(folder);
  if (above === folder) throw new Error(`no package.json of ${name}`);
  return packageOf(above, name);
}

/**
 * The shop's routes for what they declare. Their handlers are never called, so there is no shop behind them: every part reads as
 * undefined.
 */
export function declaredRoutes(): AnyRoute[] {
  return allRoutes(new Proxy({}, { get: () => undefined }) as App);
}

/** The version that the package states, found upwards from here. */
export function packageVersion(): string {
  const manifest = packageOf(import.meta.dirname, 'stampede');
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { ok, output } = lintDocument(openApiDocument(declaredRoutes(), { version: packageVersion() }));
  process.stdout.write(output);
  process.exitCode = ok ? 0 : 1;
}
