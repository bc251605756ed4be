/**
 * The pages that explain the API: the OpenAPI document, Swagger UI over it (from its package, nothing from elsewhere), and the
 * table of problems that every problem's `type` points at. Pages carry a policy under which no script but our own files runs.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type OpenApiOptions, openApiDocument } from './openapi.ts';
import { PROBLEM_PAGE, PROBLEMS, problem } from './problem.ts';
import type { EdgeReply } from './reply.ts';
import { type AnyRoute, route } from './route.ts';

/** Swagger UI writes style attributes and draws its icons from data URLs; scripts come from files of this server only. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': PAGE_POLICY,
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-cache',
};

/** Files of Swagger UI that are served, with their types. */
const UI_FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const INITIALIZER = `window.onload = () => {
  window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#ui', deepLinking: true, validatorUrl: null });
};
`;

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stampede API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/initializer.js"></script>
</body>
</html>
`;

/**
 * @param described the routes that the document is about
 * @param home where `/` sends a browser; null: this table has no `/`. Default `/docs`
 */
export function docsRoutes(
  described: readonly AnyRoute[],
  options: OpenApiOptions,
  home: string | null = '/docs',
): AnyRoute[] {
  let document: string | null = null;
  const files = new Map<string, Promise<Buffer>>();
  const openapi = page('/openapi.json', 'openApiDocument', () => {
    document ??= JSON.stringify(openApiDocument(described, options));
    return { status: 200, headers: { 'cache-control': 'no-cache' }, body: document };
  });
  const file = page('/docs/{file}', 'docsFile', async (name) => {
    if (name === 'initializer.js') return script(INITIALIZER);
    const type = Object.hasOwn(UI_FILES, name) ? UI_FILES[name] : undefined;
    if (type === undefined) return problem('not_found');
    let reading = files.get(name);
    if (reading === undefined) {
      reading = readFile(join(uiFolder(), name));
      files.set(name, reading);
      // a failed read is tried again by the next request
      reading.catch(() => files.delete(name));
    }
    return {
      status: 200,
      headers: { 'content-type': type, 'cache-control': 'public, max-age=3600' },
      body: await reading,
    };
  });
  const routes = [
    openapi,
    page('/docs', 'docs', () => ({ status: 200, headers: PAGE_HEADERS, body: PAGE })),
    page(PROBLEM_PAGE, 'docsProblems', () => ({ status: 200, headers: PAGE_HEADERS, body: problemPage() })),
    file,
  ];
  if (home !== null)
    routes.push(page('/', 'home', () => ({ status: 302, headers: { ...PAGE_HEADERS, location: home }, body: '' })));
  return routes;
}

function page(path: string, operationId: string, reply: (name: string) => EdgeReply | Promise<EdgeReply>): AnyRoute {
  return route({
    method: 'GET',
    path,
    operationId,
    summary: 'A page.',
    tag: 'pages',
    access: 'none',
    hidden: true,
    responses: { 200: { description: 'The page.' } },
    handle: ({ params }) => reply((params as { readonly file?: string }).file ?? ''),
  });
}

function script(text: string): EdgeReply {
  return {
    status: 200,
    headers: { 'content-type': 'text/javascript; charset=utf-8', 'cache-control': 'no-cache' },
    body: text,
  };
}

function uiFolder(): string {
  return dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
}

/** Codes and titles are our own words: letters, underscores and plain sentences, nothing to escape but `'`, which HTML lets be. */
function problemPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, { status, title }]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stampede: problems</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<style>
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #3b4151; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0.4rem 0.8rem; border-bottom: 1px solid #d8dde7; vertical-align: top; }
tr:target { background: #fff3c4; scroll-margin-top: 2rem; }
code { font-size: 0.95em; }
</style>
</head>
<body>
<h1>Problems</h1>
<p>Every error is an <code>application/problem+json</code> document (RFC 9457) with one of these codes; its <code>type</code>
leads to its line here. The calls that may answer with it are in the <a href="/docs">API documentation</a>.</p>
<table>
<thead><tr><th>Code</th><th>Status</th><th>Meaning</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</body>
</html>
`;
}
