/** Peer: a bare uWebSockets.js JSON echo, the limit of the edge. Prints its port and serves until it is killed. */
import { loadUws } from '../../http/uws.ts';

const { uws } = await loadUws();
uws
  .App()
  .post('/*', (res) => {
    let body = '';
    res.onAborted(() => {
      body = '';
    });
    res.onData((chunk, isLast) => {
      body += Buffer.from(chunk).toString();
      if (!isLast) return;
      const answer = JSON.stringify(JSON.parse(body));
      res.cork(() => {
        res.writeStatus('200 OK').writeHeader('content-type', 'application/json').end(answer);
      });
    });
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (!socket) process.exit(1);
    process.send?.({ port: uws.us_socket_local_port(socket) });
  });
process.once('disconnect', () => process.exit(0));
