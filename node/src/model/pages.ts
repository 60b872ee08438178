/** Goes through pages: each is asked for when the one before it has been gone through. */
export async function* pages<T>(
  ask: (token: Buffer) => Promise<{ page: T[]; next: Buffer }>,
): AsyncGenerator<T, void, undefined> {
  let token = Buffer.alloc(0);
  do {
    const { page, next } = await ask(token);
    yield* page;
    token = Buffer.from(next);
  } while (token.length > 0);
}
