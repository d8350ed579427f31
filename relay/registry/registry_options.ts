/** Bounds and times of a registry. */
export interface RegistryOptions {
  /** How long a registration lives without renewal, in milliseconds. Default 30 s. */
  ttlMs: number;
  /** Most peers registered here, and most known from other relays. Default 10,000 each. */
  capacity: number;
  /** Most peers registered from one network address; loopback is not counted. Default 512. */
  maxPerHost: number;
  /** Bytes of all registrations, about. Default 256 MiB. */
  maxBytes: number;
}

/** All options, `given` before the defaults. Throws `RangeError` unless each is a positive integer. */
export function resolveRegistryOptions(given: Partial<RegistryOptions> = {}): RegistryOptions {
  const options = { ttlMs: 30_000, capacity: 10_000, maxPerHost: 512, maxBytes: 256 * 1024 * 1024, ...given };
  for (const [name, value] of Object.entries(options)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`Registry option ${name} must be a positive integer, got ${value}`);
    }
  }
  return options;
}
