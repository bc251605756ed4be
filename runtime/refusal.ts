/**
 * A start (or a joining anew) that is refused because of how the process is set up: no repeat can help before somebody changes that. Its
 * message is one line for an operator. Whatever else is thrown may pass by itself.
 */
export class Refusal extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Refusal';
  }
}
