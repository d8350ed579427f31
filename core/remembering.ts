/**
 * `compute`, a pure function, which remembers its last results, `max` of them: for what is asked for again and again with the
 * same few texts. `undefined` is not remembered; the oldest result is forgotten first.
 */
export function remembering<V>(compute: (text: string) => V, { max }: { max: number }): (text: string) => V {
  const results = new Map<string, V>();
  return (text) => {
    const known = results.get(text);
    if (known !== undefined) return known;
    const result = compute(text);
    if (result === undefined) return result;
    const [oldest] = results.size >= max ? results.keys() : [];
    if (oldest !== undefined) results.delete(oldest);
    results.set(text, result);
    return result;
  };
}
