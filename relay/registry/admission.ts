import { CodedError } from "../../core/errors.ts";
import { isPeerId } from "../../identity/mod.ts";

/** Longest id of what may be no peer id. */
const MAX_ID_CHARS = 128;

/** Who calls, as far as it is known. */
export interface Caller {
  /** Proven by the connection; undefined over gRPC. */
  readonly peerId: string | undefined;
  /** IP address of the other end; empty for a local socket, `peer <id>` for a peer that is not connected any more. */
  readonly host: string;
}

/** What admission decides by. */
export interface AdmissionDeps {
  /** IP address from which a peer is connected over libp2p; undefined when it is not. */
  hostOf(peerId: string): string | undefined;
}

/** Whether a registry trusts what nobody has signed. */
export interface AdmissionOptions {
  /** Take it from everybody, as relays of the existing network do. Default false. */
  open: boolean;
}

/** Who may say what about whom without a signature. */
export class Admission {
  constructor(readonly deps: AdmissionDeps, readonly options: AdmissionOptions) {}

  /** Throws `invalid_argument` for what is no peer id; an open registry takes other names too, as existing tests do. */
  checkId(peerId: string): void {
    if (peerId === "") throw new CodedError("invalid_argument", "peer_id is required");
    const isProper: boolean = isPeerId(peerId);
    if (isProper || this.options.open && peerId.length <= MAX_ID_CHARS) return;
    throw new CodedError(
      "invalid_argument",
      `${JSON.stringify(peerId.slice(0, 80))} is no peer id: they look like 12D3KooW…`,
    );
  }

  /** Throws `permission_denied` when `caller` may not speak for `peerId` without a signature. */
  checkUnsigned(peerId: string, caller: Caller): void {
    if (caller.peerId === peerId) return;
    if (caller.peerId === undefined && (this.options.open || this.#isFromHostOf(peerId, caller.host))) return;
    throw new CodedError(
      "permission_denied",
      caller.peerId === undefined
        ? `Nobody may speak for ${peerId} without its signature: sign a record, connect to this relay over libp2p from the same ` +
          "host, or start the relay with --registry-open"
        : `${caller.peerId} may not speak for ${peerId}`,
    );
  }

  /** Throws `permission_denied` when `caller` is another peer than the one that signed. */
  checkSigned(peerId: string, caller: Caller): void {
    if (caller.peerId === undefined || caller.peerId === peerId) return;
    throw new CodedError("permission_denied", `${caller.peerId} may not register ${peerId}`);
  }

  #isFromHostOf(peerId: string, host: string): boolean {
    return host !== "" && this.deps.hostOf(peerId) === host;
  }
}
