import { CodedError } from "../../core/errors.ts";
import { isPeerId } from "../../identity/mod.ts";

/** `peerId` when it is one. @throws CodedError `invalid_argument`. */
export function checkPeerId(peerId: string): string {
  if (isPeerId(peerId)) return peerId;
  throw new CodedError("invalid_argument", `"${peerId}" is no peer id: they look like 12D3KooW…`);
}
