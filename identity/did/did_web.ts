import { CodedError } from "../../core/errors.ts";
import { shorten } from "../peer_id.ts";
import { parseDid } from "./did.ts";

/** A host name with at least one letter in its last label, so no address, and an optional port. */
const HOST =
  /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?(?::[1-9][0-9]{0,4})?$/i;
/** What a segment of a path may consist of, decoded; never dots alone, which would leave the folder. */
const SEGMENT = /^(?!\.+$)[A-Za-z0-9._~!$&'()*+,;=@-]{1,255}$/;
const WELL_KNOWN = "/.well-known/did.json";

/**
 * Where the document of a did:web or did:wba is: `did:web:example.com%3A8443:a:b` is at `https://example.com:8443/a/b/did.json`.
 * Addresses in place of a name, and segments that would lead elsewhere when they are decoded, are refused.
 * https://w3c-ccg.github.io/did-method-web/ @throws CodedError `invalid_argument`.
 */
export function didWebToUrl(did: string): string {
  const { method, id } = parseDid(did);
  const [host = "", ...segments] = id.split(":").map(decodeURIComponentOr(""));
  const isRight = (method === "web" || method === "wba") && isHost(host) &&
    segments.every((one) => SEGMENT.test(one));
  if (!isRight) {
    throw new CodedError(
      "invalid_argument",
      `Cannot read the DID ${
        shorten(did)
      }: a did:web is a host name, its port after %3A, and a plain path after colons`,
    );
  }
  const path = segments.length === 0 ? WELL_KNOWN : `/${segments.map(encodeURIComponent).join("/")}/did.json`;
  return `https://${host.toLowerCase()}${path}`;
}

/** The did:web whose document is at `url`. @throws CodedError `invalid_argument` when no did:web leads there. */
export function urlToDidWeb(url: string): string {
  const parsed = URL.parse(url);
  const segments = (parsed?.pathname ?? "").split("/").slice(1).map(decodeURIComponentOr(""));
  const isRoot = parsed?.pathname === WELL_KNOWN;
  const isRight = parsed?.protocol === "https:" && isHost(parsed.host) && segments.at(-1) === "did.json" &&
    parsed.username === "" && parsed.password === "" && parsed.search === "" && parsed.hash === "" &&
    segments.every((one) => SEGMENT.test(one)) && (isRoot || segments.length > 1);
  if (!isRight) {
    throw new CodedError(
      "invalid_argument",
      `Cannot make a did:web of ${shorten(url)}: it has to be an https: URL of a host name that ends in ` +
        "/.well-known/did.json or, in a folder, /did.json",
    );
  }
  const folders = isRoot ? [] : segments.slice(0, -1).map(encodeURIComponent);
  return ["did:web", encodeURIComponent(parsed.host), ...folders].join(":");
}

function isHost(host: string): boolean {
  const [name = "", port = "443"] = host.split(":");
  return HOST.test(host) && name.length <= 253 && Number(port) <= 65_535;
}

function decodeURIComponentOr(fallback: string): (text: string) => string {
  return (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return fallback; // a percent sign that begins nothing
    }
  };
}
