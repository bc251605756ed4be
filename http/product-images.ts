/**
 * A picture for each product, drawn when it is asked for: the glyph of its category over soft shapes, in colours that follow
 * from the sku. A pure function, so the same product always looks the same and nothing is stored. Below 4 KB; the name is the picture's
 * title, for those who do not see it. Nothing in it loads or runs anything.
 */

/** Width and height in user units; the picture scales. */
const SIZE = 400;
const NAME_LENGTH_MAX = 200;

/** @returns an SVG document in UTF-8 */
export function productImage(sku: string, name: string, category: string): string {
  const seed = hash(sku);
  const hue = seed % 360;
  const turn = 24 + ((seed >>> 9) % 40);
  const side = (seed >>> 15) % 2 === 0 ? 1 : -1;
  const color = (shift: number, saturation: number, lightness: number): string =>
    `hsl(${(hue + shift + 360) % 360} ${saturation}% ${lightness}%)`;
  const paint: Paint = {
    body: color(0, 52, 40),
    shade: color(0, 55, 31),
    light: color(turn, 78, 76),
    accent: color(turn + 150, 72, 58),
    pale: '#fffdf8',
  };
  const x = 200 + side * (60 + ((seed >>> 3) % 70));
  const y = 110 + ((seed >>> 20) % 80);
  const radius = 120 + ((seed >>> 6) % 50);
  const title = escapeXml([...name].slice(0, NAME_LENGTH_MAX).join(''));
  const id = `b${seed.toString(36)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE} ${SIZE}" role="img">`,
    `<title>${title}</title>`,
    `<defs><linearGradient id="${id}" x1="0" y1="0" x2="${side > 0 ? 1 : 0.3}" y2="1">`,
    `<stop offset="0" stop-color="${color(0, 60, 94)}"/><stop offset="1" stop-color="${color(turn, 58, 84)}"/>`,
    '</linearGradient></defs>',
    `<rect width="${SIZE}" height="${SIZE}" fill="url(#${id})"/>`,
    `<circle cx="${x}" cy="${y}" r="${radius}" fill="${color(turn, 66, 89)}" opacity=".8"/>`,
    `<circle cx="${400 - x}" cy="${330 - (y >> 2)}" r="${radius >> 1}" fill="${color(-18, 60, 90)}" opacity=".9"/>`,
    `<ellipse cx="200" cy="318" rx="118" ry="13" fill="${color(0, 40, 30)}" opacity=".16"/>`,
    glyphFor(category)(paint),
    '</svg>\n',
  ].join('');
}

interface Paint {
  readonly body: string;
  readonly shade: string;
  readonly light: string;
  readonly accent: string;
  readonly pale: string;
}
type Glyph = (paint: Paint) => string;

/** Words of category names, in lower case, and what is drawn for them. The first word that occurs counts. */
const GLYPHS: readonly (readonly [words: readonly string[], glyph: Glyph])[] = [
  [['coffee', 'tea', 'food'], cup],
  [['kitchen', 'cook', 'home'], pot],
  [['outdoor', 'camp', 'garden'], tent],
  [['desk', 'office', 'light'], lamp],
  [['audio', 'music', 'electronic'], headphones],
  [['bag', 'luggage', 'travel'], backpack],
  [['book', 'print'], book],
  [['toy', 'game'], robot],
];

function glyphFor(category: string): Glyph {
  const text = category.toLowerCase();
  return GLYPHS.find(([words]) => words.some((word) => text.includes(word)))?.[1] ?? parcel;
}

function cup({ body, shade, light, pale }: Paint): string {
  return [
    `<path d="M274 196h18a36 36 0 0 1 0 72h-26" fill="none" stroke="${shade}" stroke-width="18"/>`,
    `<path d="M112 172h168l-12 112q-3 32-36 32h-72q-33 0-36-32z" fill="${body}"/>`,
    `<path d="M236 172h44l-12 112q-3 32-36 32h-22q26-6 29-36z" fill="${shade}"/>`,
    `<ellipse cx="196" cy="172" rx="84" ry="17" fill="${pale}"/><ellipse cx="196" cy="174" rx="70" ry="11" fill="#6b4630"/>`,
    `<path d="M122 236h140l-3 26H125z" fill="${light}"/>`,
    `<g fill="none" stroke="${pale}" stroke-width="11" stroke-linecap="round" opacity=".95">`,
    '<path d="M164 136c-18-20 16-32 0-56"/><path d="M202 130c-18-24 18-38 0-66"/><path d="M240 136c-18-20 16-32 0-56"/></g>',
  ].join('');
}

function pot({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<path d="M92 196h-18a16 16 0 0 0 0 32h20M308 196h18a16 16 0 0 1 0 32h-20" fill="none" stroke="${shade}" stroke-width="16"/>`,
    `<path d="M94 178h212v104q0 34-34 34H128q-34 0-34-34z" fill="${body}"/>`,
    `<path d="M258 178h48v104q0 34-34 34h-34q20-8 20-34z" fill="${shade}"/>`,
    `<path d="M86 178q4-64 114-64t114 64z" fill="${light}"/><rect x="80" y="168" width="240" height="20" rx="10" fill="${pale}"/>`,
    `<circle cx="200" cy="104" r="17" fill="${accent}"/>`,
    `<path d="M116 210v62" stroke="${pale}" stroke-width="10" stroke-linecap="round" opacity=".5"/>`,
  ].join('');
}

function tent({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<circle cx="292" cy="108" r="28" fill="${accent}"/>`,
    `<path d="M60 316l82-134 46 60 34-38 118 112z" fill="${light}" opacity=".75"/>`,
    `<path d="M190 122L330 316H214z" fill="${shade}"/><path d="M190 122L70 316h146z" fill="${body}"/>`,
    `<path d="M190 152l46 164h-76z" fill="${pale}"/><path d="M190 152l22 164h-52z" fill="${shade}"/>`,
    `<path d="M190 130V96l34 12-34 12" fill="${accent}" stroke="${shade}" stroke-width="6" stroke-linejoin="round"/>`,
  ].join('');
}

function lamp({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<path d="M148 190L70 316h196z" fill="${pale}" opacity=".75"/>`,
    `<path d="M268 304L286 196 196 120" fill="none" stroke="${shade}" stroke-width="14" stroke-linejoin="round" stroke-linecap="round"/>`,
    `<circle cx="286" cy="196" r="15" fill="${accent}"/>`,
    `<path d="M178 92l56 52q-14 8-26 40l-6 14L96 150q34-60 82-58z" fill="${body}"/>`,
    `<path d="M96 150l106 48q-20 18-62 2t-44-50z" fill="${light}"/>`,
    `<rect x="218" y="298" width="104" height="20" rx="10" fill="${body}"/><circle cx="200" cy="116" r="13" fill="${accent}"/>`,
  ].join('');
}

function headphones({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<path d="M100 244v-26a100 100 0 0 1 200 0v26" fill="none" stroke="${shade}" stroke-width="22"/>`,
    `<path d="M100 222v-4a100 100 0 0 1 142-91" fill="none" stroke="${body}" stroke-width="22"/>`,
    `<rect x="74" y="216" width="62" height="100" rx="28" fill="${body}"/><rect x="264" y="216" width="62" height="100" rx="28" fill="${shade}"/>`,
    `<rect x="122" y="222" width="28" height="88" rx="14" fill="${light}"/><rect x="250" y="222" width="28" height="88" rx="14" fill="${light}"/>`,
    `<circle cx="99" cy="266" r="11" fill="${pale}" opacity=".8"/>`,
    `<g fill="${accent}"><rect x="172" y="250" width="10" height="34" rx="5"/><rect x="190" y="232" width="10" height="70" rx="5"/>`,
    '<rect x="208" y="246" width="10" height="42" rx="5"/><rect x="226" y="256" width="10" height="22" rx="5"/></g>',
  ].join('');
}

function backpack({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<path d="M164 112v-14q0-24 36-24t36 24v14" fill="none" stroke="${shade}" stroke-width="14"/>`,
    `<path d="M106 318V174q0-72 94-72t94 72v144z" fill="${body}"/><path d="M246 110q48 14 48 64v144h-42V150q0-26-6-40z" fill="${shade}"/>`,
    `<rect x="92" y="212" width="34" height="92" rx="15" fill="${shade}"/><rect x="274" y="212" width="34" height="92" rx="15" fill="${shade}"/>`,
    `<path d="M136 216h128v70q0 16-16 16h-96q-16 0-16-16z" fill="${light}"/><path d="M136 216h128v24H136z" fill="${pale}"/>`,
    `<rect x="188" y="232" width="24" height="32" rx="6" fill="${accent}"/><path d="M142 172h116" stroke="${pale}" stroke-width="9" stroke-linecap="round" opacity=".7"/>`,
  ].join('');
}

function book({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<g transform="rotate(-7 200 210)"><path d="M118 104h150a22 22 0 0 1 22 22v190H118z" fill="${shade}"/>`,
    `<path d="M132 286h150v24H132z" fill="${pale}"/><path d="M132 294h150M132 302h150" stroke="${light}" stroke-width="3"/>`,
    `<path d="M110 96h158q14 0 14 14v172H132a22 22 0 0 0-22 22z" fill="${body}"/><path d="M110 96h24v188a24 24 0 0 0-24 20z" fill="${shade}"/>`,
    `<rect x="158" y="132" width="96" height="14" rx="7" fill="${pale}"/><rect x="158" y="156" width="64" height="10" rx="5" fill="${light}"/>`,
    `<circle cx="206" cy="220" r="30" fill="${light}"/><path d="M240 96h22v58l-11-12-11 12z" fill="${accent}"/></g>`,
  ].join('');
}

function robot({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<path d="M200 104V78" stroke="${shade}" stroke-width="10"/><circle cx="200" cy="72" r="13" fill="${accent}"/>`,
    `<rect x="130" y="100" width="140" height="92" rx="24" fill="${body}"/><rect x="148" y="120" width="104" height="50" rx="22" fill="${pale}"/>`,
    `<circle cx="176" cy="145" r="12" fill="${shade}"/><circle cx="224" cy="145" r="12" fill="${shade}"/>`,
    `<rect x="140" y="204" width="120" height="86" rx="18" fill="${body}"/><path d="M216 204h26q18 0 18 18v50q0 18-18 18h-26z" fill="${shade}"/>`,
    `<rect x="98" y="210" width="30" height="70" rx="15" fill="${light}"/><rect x="272" y="210" width="30" height="70" rx="15" fill="${light}"/>`,
    `<circle cx="180" cy="246" r="20" fill="${light}"/><path d="M180 246l12-12" stroke="${shade}" stroke-width="6" stroke-linecap="round"/>`,
    `<rect x="152" y="290" width="34" height="28" rx="8" fill="${shade}"/><rect x="214" y="290" width="34" height="28" rx="8" fill="${shade}"/>`,
  ].join('');
}

function parcel({ body, shade, light, accent, pale }: Paint): string {
  return [
    `<path d="M96 168l104 44v106L96 272z" fill="${body}"/><path d="M304 168l-104 44v106l104-46z" fill="${shade}"/>`,
    `<path d="M96 168l104-46 104 46-104 44z" fill="${light}"/><path d="M140 148l104 45v34l20-9v-34L160 139z" fill="${accent}"/>`,
    `<path d="M116 254l40 17" stroke="${pale}" stroke-width="9" stroke-linecap="round"/>`,
  ].join('');
}

/** Also for attributes. What XML 1.0 has no place for is left out. */
function escapeXml(text: string): string {
  let escaped = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if ((code < 0x20 && code !== 0x9) || (code >= 0xd800 && code <= 0xdfff) || code === 0xfffe || code === 0xffff)
      continue;
    escaped += ENTITIES[char] ?? char;
  }
  return escaped;
}
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** FNV-1a, its bits stirred once more: neighbouring skus get distant colours. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
