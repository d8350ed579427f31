import { createMemoryKvStore, type KvStore } from "../../../kv/mod.ts";
import { silentLogger } from "../../../core/log.ts";
import {
  createIdentity,
  type Identity,
  type RegistryRecord,
  type SignedRegistryRecord,
  signRegistryRecord,
} from "../../../identity/mod.ts";
import { Admission, type Caller } from "../../../relay/registry/admission.ts";
import { Directory } from "../../../relay/registry/directory.ts";
import { KvRegistryStore } from "../../../relay/registry/kv_registry_store.ts";
import { Registry } from "../../../relay/registry/registry.ts";
import { type RegistryOptions, resolveRegistryOptions } from "../../../relay/registry/registry_options.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** An identity that is the same for the same number. */
export function identityOf(number: number): Identity {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, number + 1);
  return createIdentity(seed);
}

export const RELAY = identityOf(0);

/** A caller over libp2p. */
export const peer = ({ peerId }: Identity, host = "192.0.2.1"): Caller => ({ peerId, host });
/** A caller over gRPC. */
export const stranger = (host = "192.0.2.9"): Caller => ({ peerId: undefined, host });

export interface RigOptions extends Partial<RegistryOptions> {
  open?: boolean;
  isShared?: boolean;
  kv?: KvStore;
  clock?: FakeClock;
  relay?: Identity;
}

/** A registry in memory, with a clock and connections that a test moves. */
export async function startRegistry({ open = false, ...given }: RigOptions = {}) {
  const { kv = createMemoryKvStore(), clock = new FakeClock(), relay = RELAY, isShared = false, ...bounds } =
    given;
  const connected = new Map<string, string>();
  const options = resolveRegistryOptions(bounds);
  const directory = new Directory({ clock, isConnected: (peerId) => connected.has(peerId) }, options);
  const admission = new Admission({ hostOf: (peerId) => connected.get(peerId) }, { open });
  const store = new KvRegistryStore({ kv, relayId: relay.peerId, clock, logger: silentLogger });
  const registry = new Registry(
    { relayId: relay.peerId, directory, admission, store, isShared, clock },
    options,
  );
  await registry.start();
  const sign = (
    identity: Identity,
    record: Partial<Omit<RegistryRecord, "peerId">> = {},
  ): SignedRegistryRecord =>
    signRegistryRecord({
      sequence: 1,
      issuedAtMs: clock.now(),
      expiresAtMs: clock.now() + 3_600_000,
      name: "Agent",
      description: "",
      skills: record.removed ? [] : [{ id: "echo", description: "", tags: {} }],
      addresses: [],
      removed: false,
      ...record,
    }, identity);
  const found = async (query: Parameters<Registry["find"]>[0] = {}) =>
    (await registry.find(query)).agents.map(({ peerId }) => peerId);
  return {
    registry,
    directory,
    admission,
    kv,
    clock,
    connected,
    sign,
    found,
    options,
    relayId: relay.peerId,
  };
}
