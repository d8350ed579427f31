/** Most values of a text; members' names count as none. */
const MAX_VALUES = 100_000;
/** Most arrays and objects inside each other. */
const MAX_DEPTH = 100;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * A JSON text by a stranger. Looked at before it is read: a body of a few MiB could otherwise become gigabytes of objects, or
 * nest deeper than there is stack to walk it.
 * @throws SyntaxError when it is not JSON; RangeError that says what is too much.
 */
export function parseBoundedJson(text: string): unknown {
  let depth = 0;
  let values = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = endOfString(text, i);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > MAX_DEPTH) throw new RangeError(`it nests more than ${MAX_DEPTH} deep`);
        values++;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
      case 0x2c: // ,
        values++;
        break;
    }
    if (values > MAX_VALUES) throw new RangeError(`it has more than ${MAX_VALUES} values`);
  }
  return JSON.parse(text);
}

/** Where the string that begins at `start` ends; the end of the text for one that does not. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
