import type { Verb } from "../verb.ts";

/** What is done with a home as a whole. */
export const HOME_VERBS: readonly Verb[] = [
  {
    path: "home backup",
    summary:
      "copy identity, configuration, tasks and artifacts into a new folder, also while the daemon runs",
    arguments: [["<folder>", "folder to make; it must not exist"]],
    notes: "The copy holds the private key: keep it as you keep the home.",
    examples: ["home backup /backups/agent-2026-01-31", "home backup ./copy --home ~/agents/a --json"],
    json: true,
    load: () => import("../verbs/home_backup.ts"),
  },
  {
    path: "home restore",
    summary: "make a home from a backup, once every file of it has proven whole",
    arguments: [["<folder>", "the backup"]],
    notes: "The home must be new. An identity may run in one place only: stop the original first.",
    examples: ["home restore /backups/agent-2026-01-31 --home ~/agents/a"],
    json: true,
    load: () => import("../verbs/home_restore.ts"),
  },
];
