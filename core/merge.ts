/**
 * The items of several iterators as they come. Of each, the next item is asked for when the one before was taken, so that a slow reader
 * slows all of them. Fails as the first one does. It does not leave the iterators: who made them does.
 */
export async function* merge<T>(...sources: AsyncIterator<T>[]): AsyncGenerator<T> {
  const ready: { source: AsyncIterator<T>; result: IteratorResult<T> }[] = [];
  let failure: { error: unknown } | undefined;
  let changed = Promise.withResolvers<void>();
  const pull = (source: AsyncIterator<T>) => {
    source.next().then((result) => void ready.push({ source, result }), (error) => failure ??= { error })
      .finally(() => changed.resolve());
  };
  for (const source of sources) pull(source);
  let open = sources.length;
  while (open > 0) {
    const next = ready.shift();
    if (next === undefined) {
      if (failure !== undefined) throw failure.error;
      await changed.promise;
      changed = Promise.withResolvers<void>();
    } else if (next.result.done) {
      open--;
    } else {
      yield next.result.value;
      pull(next.source);
    }
  }
}
