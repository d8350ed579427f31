/**
 * A new id, a UUID of version 7: ids that are made later sort behind, so that what is stored by them lies together. As hard to
 * guess as 74 random bits.
 */
export function orderedId(nowMs: number = Date.now()): string {
  const time = Math.floor(nowMs).toString(16).padStart(12, "0");
  // What is random in a UUID is the same in version 4, behind its number.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}
