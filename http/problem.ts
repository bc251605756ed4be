/**
 * Problems (RFC 9457): the one table of codes, each with its HTTP status and sentence. A test holds this table, the OpenAPI
 * document and the README's API page together.
 */
export interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

export const PROBLEMS = {
  invalid_request: { status: 400, title: 'The request is not valid.' },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;
