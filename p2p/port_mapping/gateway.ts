/** What travels through a mapped port. */
export type MappedProtocol = "tcp" | "udp";

/** A port of this node that a gateway is asked to open. */
export interface PortRequest {
  protocol: MappedProtocol;
  internalPort: number;
  /** The port wished for outside; the gateway may give another. */
  externalPort: number;
  /** For how long, in seconds. */
  lifetimeS: number;
}

/** What a gateway gave. */
export interface PortGrant {
  externalPort: number;
  /** Until it has to be asked for again, in seconds. */
  lifetimeS: number;
}

/** A router that opens ports when it is asked to. Each call takes until `signal` fires at most, and rejects then. */
export interface Gateway {
  /** For people, such as `NAT-PMP at 192.168.1.1`. */
  readonly name: string;
  /** The own address that it forwards to. */
  readonly from: string;
  /** The IPv4 address outside. */
  externalAddress(signal: AbortSignal): Promise<string>;
  /** Opens a port towards this machine, or renews it. Rejects when the gateway refuses. */
  map(request: PortRequest, signal: AbortSignal): Promise<PortGrant>;
  /** Closes a port again. */
  unmap(port: Omit<PortRequest, "lifetimeS">, signal: AbortSignal): Promise<void>;
}
