import { createMemoryKvStore } from "../../kv/mod.ts";
import { testKvStoreContract } from "../contract/kv_store_contract.ts";

testKvStoreContract("memory", () => {
  const store = createMemoryKvStore();
  return Promise.resolve({ store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() });
});
