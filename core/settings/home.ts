import { join } from "node:path";
import { path } from "../setting.ts";

/** Where a program keeps its files; `folder` is the name of its home below the user's. */
export function homeSettings(folder: string) {
  return {
    home: path(({ userHome }) => join(userHome, folder), "folder of key, socket, store and logs", {
      toml: null,
    }),
    configPath: path(({ home }) => join(home, "config.toml"), "configuration file (TOML)", {
      ...{ toml: null, flag: "config", env: "AGENTANYCAST_CONFIG" },
    }),
    keyPath: path(({ home }) => join(home, "key"), "identity file", { flag: "key" }),
    storePath: path(({ home }) => join(home, "data"), "folder of the store"),
  };
}
