/**
 * Whether `text` fits a pattern in which `*` stands for any characters and `?` for one. Takes time in proportion to the
 * product of both lengths at most, whatever they are.
 */
export function fitsPattern(pattern: string, text: string): boolean {
  let [p, t] = [0, 0];
  /** Where to go on when what follows the last `*` does not fit: the `*` takes one character more. */
  let [star, taken] = [-1, 0];
  while (t < text.length) {
    if (pattern[p] === "*") [star, taken, p] = [p, t, p + 1];
    else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) [p, t] = [p + 1, t + 1];
    else if (star >= 0) [p, t] = [star + 1, ++taken];
    else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

/** Whether any of `texts` fits the pattern. */
export function fitsAny(pattern: string, texts: readonly string[]): boolean {
  return texts.some((text) => fitsPattern(pattern, text));
}
