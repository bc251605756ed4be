import type { ChildProcess, Serializable } from 'node:child_process';

/** Says a word to a child process and waits for its answer. Rejects where it ends instead. */
export async function answerOf<T>(child: ChildProcess, name: string, word: Serializable): Promise<T> {
  return await new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`${name} ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (told) => {
      child.off('exit', ended);
      resolve(told as T);
    });
    child.send(word);
  });
}
