/**
 * The report's drawings, as SVG text: bars with their spread, curves on logarithmic axes, one stacked bar. Colours are named in the page's style (`--c0` …),
 * so that they follow its light and dark. Pure.
 */

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Of the shop, or of a peer. */
  readonly ours: boolean;
  readonly note?: string;
}

export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Drawn with dashes. */
  readonly faint?: boolean;
}

const text = (value: string) => value.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
/** Where nothing was answered there is no figure (in JSON: null); it is drawn at 0. */
const at = (value: number) => (Number.isFinite(value) ? value : 0).toFixed(1);

/** 12,300 → "12,300"; 0.5 → "0.50". */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (Math.abs(value) >= 10_000) return `${Math.round(value / 1000)} k`;
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  if (Math.abs(value) >= 10) return value.toFixed(1);
  return Number(value.toPrecision(2)).toString();
}

/** Horizontal bars from 0, the spread as a line over the end. */
export function bars(list: readonly Bar[]): string {
  const [left, width, row] = [330, 560, 26];
  const most = Math.max(Number.MIN_VALUE, ...list.map(({ high }) => high)) * 1.02;
  const x = (value: number) => left + (value / most) * (width - 110);
  const lines = list.map(({ label, value, low, high, ours, note }, index) => {
    const y = index * row + 4;
    const middle = y + 8;
    return `<text class="l" x="${left - 8}" y="${middle + 4}" text-anchor="end">${text(label)}</text>
<rect class="${ours ? 'ours' : 'peer'}" x="${left}" y="${y}" width="${at(Math.max(1, x(value) - left))}" height="16" rx="2"/>
<path class="spread" d="M${at(x(low))} ${middle}H${at(x(high))}M${at(x(low))} ${middle - 4}v8M${at(x(high))} ${middle - 4}v8"/>
<text class="v" x="${at(x(Math.max(high, value)) + 8)}" y="${middle + 4}">${short(value)}${note === undefined ? '' : ` <tspan class="n">${text(note)}</tspan>`}</text>`;
  });
  return svg(left + width, list.length * row + 4, lines.join('\n'), 'bars');
}

export interface Axes {
  readonly x: string;
  readonly y: string;
  /** Values with their labels; default: decades. */
  readonly xTicks?: readonly (readonly [value: number, label: string])[];
  readonly width?: number;
  readonly height?: number;
  /** The y axis has at least so many decades, so that noise does not look like growth. */
  readonly decades?: number;
}

/** Curves on two logarithmic axes. */
export function curves(
  list: readonly Curve[],
  { x: xName, y: yName, xTicks, width = 430, height = 260, decades = 1 }: Axes,
): string {
  const all = list.flatMap(({ points }) => points).filter(([x, y]) => x > 0 && y > 0);
  if (all.length === 0) return '';
  const [x0, x1] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))];
  let y0 = Math.log10(Math.min(...all.map(([, y]) => y)));
  let y1 = Math.log10(Math.max(...all.map(([, y]) => y)));
  const missing = decades - (y1 - y0);
  if (missing > 0) {
    y0 -= missing / 2;
    y1 += missing / 2;
  }
  const [left, right, top, bottom] = [54, 14, 12, 40];
  const spanX = Math.log(x1 / x0) || 1;
  const px = (x: number) => left + (Math.log(x / x0) / spanX) * (width - left - right);
  const py = (y: number) => height - bottom - ((Math.log10(y) - y0) / (y1 - y0)) * (height - top - bottom);
  const ticksY = ticks(y0, y1);
  const ticksX = xTicks ?? ticks(Math.log10(x0), Math.log10(x1)).map((value) => [value, short(value)] as const);
  const grid = [
    ...ticksY.map(
      (value) =>
        `<path class="grid" d="M${left} ${at(py(value))}H${width - right}"/><text class="t" x="${left - 6}" y="${at(py(value) + 4)}" text-anchor="end">${short(value)}</text>`,
    ),
    ...ticksX
      .filter(([value]) => value >= x0 * 0.999 && value <= x1 * 1.001)
      .map(
        ([value, label]) =>
          `<path class="grid" d="M${at(px(value))} ${top}V${height - bottom}"/><text class="t" x="${at(px(value))}" y="${height - bottom + 15}" text-anchor="middle">${text(label)}</text>`,
      ),
  ];
  const lines = list.map(({ points, faint }, index) => {
    const path = points
      .filter(([x, y]) => x > 0 && y > 0)
      .map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${at(px(x))} ${at(py(y))}`)
      .join('');
    const dots = faint
      ? ''
      : points
          .filter(([x, y]) => x > 0 && y > 0)
          .map(([x, y]) => `<circle class="f${index % 10}" cx="${at(px(x))}" cy="${at(py(y))}" r="2.5"/>`)
          .join('');
    return `<path class="s${index % 10}${faint ? ' faint' : ''}" d="${path}"/>${dots}`;
  });
  const names = `<text class="t" x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">${text(xName)}</text>
<text class="t" transform="translate(11 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">${text(yName)}</text>`;
  const drawn = svg(width, height, [...grid, names, ...lines].join('\n'), 'curves');
  return `<div class="chart">${drawn}${list.length > 1 ? legend(list.map(({ name }) => name)) : ''}</div>`;
}

/** 1, 2, 5 and their tens between two exponents of ten; fewer where there would be many. */
function ticks(low: number, high: number): number[] {
  const steps = high - low > 2.2 ? [1] : high - low > 1.1 ? [1, 3] : [1, 2, 5];
  const found: number[] = [];
  for (let decade = Math.floor(low); decade <= high; decade++)
    for (const step of steps) {
      const value = step * 10 ** decade;
      if (Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9) found.push(value);
    }
  return found;
}

export function legend(names: readonly string[]): string {
  return `<p class="legend">${names.map((name, index) => `<span><i class="k${index % 10}"></i>${text(name)}</span>`).join('')}</p>`;
}

/** One bar of parts that add up. */
export function stack(parts: readonly (readonly [name: string, value: number])[], unit: string): string {
  const width = 880;
  const sum = parts.reduce((total, [, value]) => total + value, 0) || 1;
  let x = 0;
  const pieces = parts.map(([name, value], index) => {
    const own = (value / sum) * width;
    const piece = `<rect class="f${index % 10}" x="${at(x)}" y="0" width="${at(Math.max(0, own - 1))}" height="34"><title>${text(name)}: ${short(value)} ${unit}</title></rect>${
      own > 46 ? `<text class="in" x="${at(x + own / 2)}" y="21" text-anchor="middle">${text(name)}</text>` : ''
    }`;
    x += own;
    return piece;
  });
  return `${svg(width, 36, pieces.join('\n'), 'stack')}${legend(parts.map(([name, value]) => `${name} ${short(value)} ${unit} (${Math.round((value / sum) * 100)} %)`))}`;
}

/** A ratio with its interval beside 1, on a logarithmic axis from 1/100 to 1,000. */
export function whisker(value: number, low: number | null, high: number | null): string {
  const [width, least, most] = [220, -2, 3];
  const x = (ratio: number) => ((Math.min(most, Math.max(least, Math.log10(ratio))) - least) / (most - least)) * width;
  const interval =
    low === null || high === null
      ? ''
      : `<path class="spread" d="M${at(x(low))} 8H${at(x(high))}M${at(x(low))} 4v8M${at(x(high))} 4v8"/>`;
  return `<svg class="whisker" viewBox="0 0 ${width} 16" width="${width}" height="16"><path class="grid" d="M0 8H${width}"/><path class="one" d="M${at(x(1))} 0V16"/>${interval}<circle class="${value >= 1 ? 'ahead' : 'behind'}" cx="${at(x(value))}" cy="8" r="4"/></svg>`;
}

function svg(width: number, height: number, inside: string, kind: string): string {
  return `<svg class="${kind}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">\n${inside}\n</svg>`;
}
