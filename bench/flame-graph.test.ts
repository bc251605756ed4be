import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flameGraph } from './flame-graph.ts';

const frame = (functionName: string, url = '', lineNumber = 0) => ({ functionName, url, lineNumber });

test('a flame graph shows each function with its share, colours folders, and leaves idle time out', () => {
  const page = flameGraph(
    {
      nodes: [
        { id: 1, callFrame: frame('(root)'), children: [2, 3, 5] },
        { id: 2, callFrame: frame('turn', 'file:///somewhere/dist/runtime/turn.js', 9), children: [4] },
        { id: 3, callFrame: frame('(idle)') },
        { id: 4, callFrame: frame('<b>', 'file:///somewhere/dist/actors/cart.js') },
        { id: 5, callFrame: frame('(garbage collector)') },
      ],
      samples: [2, 3, 4, 5],
      timeDeltas: [100, 5000, 200, 100],
    },
    'A test',
  );
  assert.match(page, /turn runtime\/turn\.js:10: 75\.0 %, itself 25\.0 %/);
  assert.match(page, /&#60;b&#62; actors\/cart\.js:1: 50\.0 %, itself 50\.0 %/);
  assert.match(page, /fill="#2563eb".*turn/s);
  assert.doesNotMatch(page, /idle|<b>|<script/);
});
