import type { Command } from "commander";

/** Shells that completions can be made for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow a number of words. */
interface Place {
  /** The verb words so far, such as `task get`; empty at the start. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly help: string }[];
}

/** The completion script of `program` for a shell, made from its verbs and options. */
export function createCompletion(shell: Shell, program: Command): string {
  const places = toPlaces(program, "");
  switch (shell) {
    case "bash":
      return createBash(program.name(), places);
    case "zsh":
      return createZsh(program.name(), places);
    case "fish":
      return createFish(program.name(), places);
    default:
      return shell satisfies never;
  }
}

function toPlaces(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  const words = [
    ...command.commands.map((sub) => ({ word: sub.name(), help: sub.description() })),
    ...options.flatMap(({ long, description }) => long ? [{ word: long, help: description }] : []),
  ];
  const below = command.commands.flatMap((sub) => toPlaces(sub, `${path} ${sub.name()}`.trim()));
  return [{ path, words }, ...below];
}

/** Shell code that leaves the verb words before the cursor in `at`. Bash and zsh only differ in how they name `words`. */
function followVerbs(places: readonly Place[], words: string): string {
  return `  for word in "\${${words}}"; do
    case "\${at:+$at }$word" in
      ${pathsBelow(places).map((path) => `"${path}"`).join("|")}) at="\${at:+$at }$word" ;;
    esac
  done`;
}

function pathsBelow(places: readonly Place[]): string[] {
  return places.map(({ path }) => path).filter((path) => path !== "");
}

function createBash(name: string, places: readonly Place[]): string {
  const cases = places.map(({ path, words }) =>
    `    "${path}") found="${words.map(({ word }) => word).join(" ")}" ;;`
  );
  return `# bash completion for ${name}: source <(${name} completion bash)
_${name}() {
  local at="" word found=""
${followVerbs(places, "COMP_WORDS[@]:1:COMP_CWORD-1")}
  case "$at" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$found" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}`;
}

function createZsh(name: string, places: readonly Place[]): string {
  const cases = places.map(({ path, words }) => {
    const lines = words.map(({ word, help }) => `        ${quote(`${word}:${help}`)}`);
    return `    "${path}") found=(\n${lines.join("\n")}\n      ) ;;`;
  });
  return `#compdef ${name}
# zsh completion for ${name}: source <(${name} completion zsh)
_${name}() {
  local at="" word
  local -a found
${followVerbs(places, "words[@]:1:CURRENT-2")}
  case "$at" in
${cases.join("\n")}
  esac
  _describe '${name}' found
  _files
}
compdef _${name} ${name}`;
}

function createFish(name: string, places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words }) =>
    words.map(({ word, help }) => {
      const what = word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c ${name} -n ${quote(`__${name}_at "${path}"`)} ${what} -d ${quote(help)}`;
    })
  );
  return `# fish completion for ${name}: ${name} completion fish | source
function __${name}_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    switch (string trim "$at $word")
      case ${pathsBelow(places).map(quote).join(" ")}
        set at (string trim "$at $word")
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}`;
}

/** `text` as one word of a shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
