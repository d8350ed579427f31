import { nearest } from "../core/nearest.ts";

/** The names of all options of a kind: a table, so that none can be forgotten. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/**
 * Throws `TypeError` for an option that there is not, which the compiler sees only in TypeScript.
 * @param owner whose options they are, as in "{owner} has no option …".
 */
export function refuseUnknown<Options extends object>(
  options: Options,
  names: OptionNames<Options>,
  owner: string,
): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(names, name)) continue;
    const meant = nearest(name, Object.keys(names));
    const advice = meant === undefined
      ? `it has ${Object.keys(names).join(", ")}`
      : `did you mean "${meant}"?`;
    throw new TypeError(`${owner} has no option "${name}": ${advice}`);
  }
}
