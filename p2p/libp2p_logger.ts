import type { ComponentLogger, Logger as Libp2pLogger } from "@libp2p/interface";
import { errorMessage } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";

/**
 * libp2p's own log on `logger`, all of it at level debug; its per-packet trace is dropped. A line is put together only
 * when it is written.
 */
export function createLibp2pLogger(logger: Logger): ComponentLogger {
  const forComponent = (component: string): Libp2pLogger => {
    const write = (formatter: unknown, ...args: unknown[]) =>
      logger.debug("libp2p", { component, text: { toJSON: () => formatLine(formatter, args) } });
    return Object.assign(write, {
      error: write,
      trace: () => {},
      enabled: true,
      newScope: (name: string) => forComponent(`${component}:${name}`),
    });
  };
  return { forComponent };
}

function formatLine(formatter: unknown, args: readonly unknown[]): string {
  if (typeof formatter !== "string") return [formatter, ...args].map(formatValue).join(" ");
  let next = 0;
  const text = formatter.replace(/%([a-zA-Z%])/g, (verb) => verb === "%%" ? "%" : formatValue(args[next++]));
  return [text, ...args.slice(next).map(formatValue)].join(" ");
}

function formatValue(value: unknown): string {
  if (value instanceof Error) return errorMessage(value);
  if (Array.isArray(value)) return value.map(formatValue).join(", ");
  return String(value);
}
