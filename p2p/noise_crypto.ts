import { Buffer } from "node:buffer";
import { createDecipheriv } from "node:crypto";
import type { ICryptoInterface } from "@libp2p/noise";
import { defaultCrypto } from "@libp2p/noise/crypto";

/** Bytes of the tag behind each message (RFC 8439). */
const TAG_BYTES = 16;
/** From here on libp2p takes the native cipher as well; below it, its own is faster. */
const MIN_NATIVE_BYTES = 1200;
const CIPHER = "chacha20-poly1305";

/**
 * The cryptography of Noise as libp2p has it, except that a long message which came in pieces is opened as one: so what is
 * read from a connection is in few pieces, and the copy that libp2p makes of each message is put to use.
 */
export const noiseCrypto: ICryptoInterface = {
  ...defaultCrypto,
  chaCha20Poly1305Decrypt(sealed, nonce, ad, key, copy) {
    const length = sealed.byteLength - TAG_BYTES;
    if (sealed instanceof Uint8Array || copy?.length !== length || length < MIN_NATIVE_BYTES) {
      return defaultCrypto.chaCha20Poly1305Decrypt(sealed, nonce, ad, key, copy);
    }
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(ad, { plaintextLength: length });
    decipher.setAuthTag(sealed.subarray(length));
    const opened = decipher.update(copy);
    const rest = decipher.final(); // throws unless the tag is right
    return rest.length === 0 ? opened : Buffer.concat([opened, rest]);
  },
};
