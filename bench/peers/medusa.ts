/**
 * Peer: Medusa, in a folder where it can be required and has its `medusa-config.js`; it runs as `medusa start` does, in the process that measures it.
 * Everything else it is told by its environment. Argument: the folder. Tells its port.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { freePort } from '../shop-process.ts';

const [, , folder = ''] = process.argv;
process.chdir(folder);
const load = createRequire(join(folder, 'package.json'));
const port = await freePort();
const { server } = await load('@medusajs/medusa/commands/start').default({
  directory: folder,
  port,
  host: '127.0.0.1',
});
if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
process.send?.({ port });
process.once('disconnect', () => process.exit(0));
