/** Whether a multiaddr is of the machine itself: nobody else can dial it, and nobody else's can be dialed here. */
export function isLoopbackAddress(address: string): boolean {
  return /^\/(ip4\/127\.|ip6\/::1\/|ip6\/::ffff:127\.|dns[46]?\/localhost\/)/.test(address);
}
