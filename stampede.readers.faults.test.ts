/** Subscribers of the stock feed that stop reading. */
import { fileURLToPath } from 'node:url';
import { testRow } from './bench/fault-test.ts';
import { smallBuffersMissing, withSmallBuffers } from './bench/small-buffers.ts';

testRow('stalled-readers', { skip: smallBuffersMissing() ?? false }, async (times) => {
  const module = fileURLToPath(new URL('./bench/stalled-readers.js', import.meta.url));
  return JSON.parse(await withSmallBuffers(module, [String(times)]));
});
