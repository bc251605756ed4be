/**
 * A flame graph of a V8 CPU profile, as one self-contained page: each bar is a function, as wide as the time in it and in what it called, callers below
 * callees on top; colours are the folders of this project, the platform and the engine. Idle time is left out. Pure.
 */

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** As the inspector's `Profiler.stop` gives it; `timeDeltas` in microseconds, each before its sample. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface Frame {
  readonly name: string;
  readonly kind: Kind;
  selfUs: number;
  totalUs: number;
  readonly children: Map<string, Frame>;
}

type Kind = 'runtime' | 'http' | 'actors' | 'schema' | 'workers' | 'package' | 'platform' | 'engine';

const COLOURS: Readonly<Record<Kind, string>> = {
  runtime: '#2563eb',
  http: '#059669',
  actors: '#9333ea',
  schema: '#ea580c',
  workers: '#db2777',
  package: '#ca8a04',
  platform: '#64748b',
  engine: '#94a3b8',
};
const WIDTH = 1400;
const ROW = 17;
const NARROWEST = 0.4;
const LISTED = 25;

export function flameGraph(profile: CpuProfile, title: string): string {
  const root = tree(profile);
  const bars: string[] = [];
  let depth = 0;
  const draw = (frame: Frame, x: number, level: number): void => {
    const width = (frame.totalUs / root.totalUs) * WIDTH;
    if (width < NARROWEST) return;
    depth = Math.max(depth, level);
    const share = ((frame.totalUs / root.totalUs) * 100).toFixed(1);
    const label =
      width > 40
        ? `<text x="${(x + 3).toFixed(1)}" y="${level * ROW + 12}">${escaped(frame.name.slice(0, Math.floor(width / 6.2)))}</text>`
        : '';
    bars.push(
      `<g><title>${escaped(frame.name)}: ${share} %, itself ${((frame.selfUs / root.totalUs) * 100).toFixed(1)} %</title><rect x="${x.toFixed(1)}" y="${level * ROW}" width="${Math.max(0.3, width - 0.5).toFixed(1)}" height="${ROW - 1}" fill="${COLOURS[frame.kind]}"/>${label}</g>`,
    );
    let at = x;
    for (const child of [...frame.children.values()].sort((a, b) => b.totalUs - a.totalUs)) {
      draw(child, at, level + 1);
      at += (child.totalUs / root.totalUs) * WIDTH;
    }
  };
  draw(root, 0, 0);
  const most = selfTimes(root).slice(0, LISTED);
  const rows = most.map(
    ([name, us]) => `<tr><td>${((us / root.totalUs) * 100).toFixed(1)} %</td><td>${escaped(name)}</td></tr>`,
  );
  const key = Object.entries(COLOURS).map(
    ([kind, colour]) => `<span><i style="background:${colour}"></i>${kind}</span>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title><style>
body{font:14px system-ui,sans-serif;margin:24px;color:#1c2430}svg{display:block;max-width:100%;height:auto}svg text{font:11px ui-monospace,monospace;fill:#fff;pointer-events:none}g:hover rect{stroke:#000}
td{padding:2px 12px 2px 0;font-variant-numeric:tabular-nums}td:first-child{text-align:right}span{margin-right:14px}i{display:inline-block;width:10px;height:10px;margin-right:5px}</style></head>
<body><h1>${escaped(title)}</h1><p>${(root.totalUs / 1e6).toFixed(2)} s on the processor. Point at a bar to read it.</p><p>${key.join('')}</p>
<svg viewBox="0 0 ${WIDTH} ${(depth + 1) * ROW}" width="${WIDTH}" height="${(depth + 1) * ROW}">${bars.join('\n')}</svg>
<h2>In themselves</h2><table>${rows.join('\n')}</table></body></html>
`;
}

/** All samples as one tree by name; what has the same name under the same caller is one frame. */
function tree({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children = [] } of nodes) for (const child of children) parents.set(child, id);
  const root: Frame = { name: 'all', kind: 'engine', selfUs: 0, totalUs: 0, children: new Map() };
  for (const [index, sample] of samples.entries()) {
    const us = timeDeltas[index] ?? 0;
    const path: ProfileNode[] = [];
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      const node = byId.get(id);
      if (node !== undefined) path.unshift(node);
    }
    if (path.at(-1)?.callFrame.functionName === '(idle)') continue;
    let frame = root;
    frame.totalUs += us;
    for (const node of path.slice(1)) {
      frame = childOf(frame, node);
      frame.totalUs += us;
    }
    frame.selfUs += us;
  }
  return root;
}

function childOf(parent: Frame, { callFrame }: ProfileNode): Frame {
  const { functionName, url, lineNumber } = callFrame;
  const file = url.replace(/^.*\/dist\//, '').replace(/^.*\/node_modules\//, '');
  const name = `${functionName === '' ? '(anonymous)' : functionName}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`;
  let child = parent.children.get(name);
  if (child === undefined) {
    child = { name, kind: kindOf(url, functionName), selfUs: 0, totalUs: 0, children: new Map() };
    parent.children.set(name, child);
  }
  return child;
}

function kindOf(url: string, functionName: string): Kind {
  if (url.includes('/node_modules/')) return 'package';
  const folder = /\/dist\/(\w+)\//.exec(url)?.[1];
  if (folder !== undefined && folder in COLOURS) return folder as Kind;
  if (url.startsWith('node:')) return 'platform';
  return functionName.startsWith('(') || url === '' ? 'engine' : 'platform';
}

function selfTimes(root: Frame): [name: string, us: number][] {
  const sums = new Map<string, number>();
  const visit = (frame: Frame): void => {
    sums.set(frame.name, (sums.get(frame.name) ?? 0) + frame.selfUs);
    for (const child of frame.children.values()) visit(child);
  };
  visit(root);
  return [...sums].filter(([, us]) => us > 0).sort((a, b) => b[1] - a[1]);
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
