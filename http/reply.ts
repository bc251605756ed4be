/**
 * What a handler hands back to the edge. It is a value: nothing in it knows a socket, so that a recorded answer, a problem and
 * a fresh answer are sent by the same code.
 */
export interface EdgeReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What `headerBlock` makes of `headers`, kept where one answer is sent again and again. */
  readonly block?: string;
  /** An object is sent as JSON; a string or bytes as they are (with `content-type` from `headers`, `application/json` by default). */
  readonly body?: object | string | Uint8Array;
}
