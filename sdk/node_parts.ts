import type { NodeParts } from "./embedded.ts";
import type { NodeOptions } from "./node_options.ts";

const PARTS = new WeakMap<NodeOptions, NodeParts>();

/** `options` of a node that is made of `parts`: for the testing kit, which users have no such choice beside. */
export function withParts(options: NodeOptions, parts: NodeParts): NodeOptions {
  PARTS.set(options, parts);
  return options;
}

/** The parts that were given to `options`. */
export function partsOf(options: NodeOptions): NodeParts | undefined {
  return PARTS.get(options);
}
