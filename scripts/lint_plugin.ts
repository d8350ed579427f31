/**
 * The rules of this code base that a program can check. `deno lint` loads them through `lint.plugins` of `deno.json`;
 * what each one is for is said in `docs/ARCHITECTURE.md`.
 *
 * @module
 */
import { basename, dirname, isAbsolute, join, relative } from "node:path";

const MAX_FILE_LINES = 500;
const MAX_FUNCTION_LINES = 60;

/** Which rooms a room may import. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  main: ["cli"],
  cli: ["daemon", "relay", "mcp", "sdk", "identity", "core"],
  daemon: ["a2a", "mcp", "http", "p2p", "kv", "identity", "registry", "rpc", "core", "gen"],
  relay: ["mcp", "http", "p2p", "kv", "identity", "registry", "rpc", "core", "gen"],
  mcp: ["sdk", "identity", "core"],
  sdk: ["rpc", "gen", "identity", "core"],
  registry: ["rpc", "identity", "core", "gen"],
  rpc: ["core", "gen"],
  a2a: ["core"],
  http: ["core"],
  p2p: ["core"],
  kv: ["core"],
  identity: ["core"],
  core: [],
  gen: ["core"],
};
/** Files that lead where their room may not go, loaded lazily from it: each is the only one with that arrow. */
const LAZY_DOORS: Readonly<Record<string, string>> = { "sdk/embedded.ts": "daemon/mod.ts" };
/** Not part of the product: may import any room. */
const TOOLING = ["scripts", "bench", "examples", "tests"];
/** Rooms without a front door: each of their files may be imported. */
const OPEN_ROOMS = ["core", "gen", "main", "rpc"];
/** Further front doors, besides the `mod.ts` of each room: the entry points of the published package. */
const DOORS = ["sdk/adapters/mod.ts", "sdk/compat/mod.ts", "sdk/testing/mod.ts"];
/** Translators inside `daemon/` that know nothing of each other. */
const WIRES = ["grpc", "bridge", "anp", "mcp", "peer"];
/** Folders of `daemon/` where generated types may be met. */
const GEN_FOLDERS = ["a2a_api", "artifacts", "convert", "grpc", "peer", "store", "remote"];

/** Which folders may import a library; `*` stands for the rest of a name. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  "hono": ["http", "daemon/bridge", "daemon/anp", "mcp", "relay"],
  "hono/*": ["http", "daemon/bridge", "daemon/anp", "mcp", "relay"],
  "libp2p": ["p2p"],
  "@libp2p/*": ["p2p"],
  "@multiformats/*": ["p2p"],
  "@noble/curves": ["p2p"],
  "@chainsafe/as-chacha20poly1305": ["p2p"],
  "multicast-dns": ["p2p"],
  "ws": ["p2p"],
  "multiformats": ["identity", "p2p"],
  "@a2a-js/sdk": ["daemon/remote"],
  "@grpc/grpc-js": ["rpc"],
  "@modelcontextprotocol/*": ["mcp", "relay"],
  "zod": ["mcp", "relay"],
  "ajv": ["sdk"],
  "tweetnacl": ["identity"],
  "@dnsquery/dns-packet": ["http"],
  "ipaddr.js": ["http", "p2p"],
  "prom-client": ["http"],
  "@opentelemetry/*": ["http"],
  "commander": ["cli"],
  "jsonc-parser": ["cli"],
  "smol-toml": ["core"],
};

type Context = Deno.lint.RuleContext;
type Node = Deno.lint.Node;
type Visit = Deno.lint.LintVisitor;

const ROOT = join(import.meta.dirname ?? ".", "..");

/** Path of the linted file from the root of the checkout, with `/`. */
function pathOf(context: Context): string {
  const path = isAbsolute(context.filename) ? relative(ROOT, context.filename) : context.filename;
  return path.replaceAll("\\", "/");
}

function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.ts$/, "");
}

function isIn(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path.startsWith(`${folder}/`));
}

/** The folder directly below the room that `path` is in; empty when it is in the room itself. */
function subRoomOf(path: string): string {
  const [, folder = "", file] = path.split("/");
  return file === undefined ? "" : folder;
}

/** Calls `found` with every module that the file names: static, re-exported, dynamic and in types. */
function visitImports(found: (node: Node, specifier: string) => void): Visit {
  const literal = (node: Node, source: Node | null | undefined) => {
    if (source?.type === "Literal" && typeof source.value === "string") found(node, source.value);
  };
  return {
    ImportDeclaration: (node) => literal(node, node.source),
    ExportNamedDeclaration: (node) => literal(node, node.source),
    ExportAllDeclaration: (node) => literal(node, node.source),
    ImportExpression: (node) => literal(node, node.source),
    TSImportType: (node) => node.argument.type === "TSLiteralType" && literal(node, node.argument.literal),
  };
}

/** Whether `to` may be imported from outside of its room. */
function isOpen(room: string, to: string): boolean {
  return OPEN_ROOMS.includes(room) || to === `${room}/mod.ts` || DOORS.includes(to);
}

/** What is wrong with importing `to` from `from`, both from the root; undefined when nothing is. */
function arrowFault(from: string, to: string): string | undefined {
  const [fromRoom, toRoom] = [roomOf(from), roomOf(to)];
  if (to === "deno.json" && (fromRoom === "core" || TOOLING.includes(fromRoom))) return undefined;
  if (LAZY_DOORS[from] === to) return undefined;
  if (fromRoom === toRoom) {
    const [fromWire, toWire] = [subRoomOf(from), subRoomOf(to)];
    const crossing = fromWire !== toWire && WIRES.includes(fromWire) && WIRES.includes(toWire);
    return fromRoom === "daemon" && crossing
      ? `${fromWire} and ${toWire} are wires: neither knows the other`
      : undefined;
  }
  if (fromRoom === "tests") return undefined;
  if (TOOLING.includes(fromRoom)) {
    return TOOLING.includes(toRoom) || isOpen(toRoom, to)
      ? undefined
      : `import ${toRoom}/mod.ts instead of its inner files`;
  }
  const allowed = ARROWS[fromRoom];
  if (allowed === undefined) return undefined;
  if (!allowed.includes(toRoom)) return `${fromRoom} may not import ${toRoom}`;
  if (toRoom === "gen" && fromRoom === "daemon" && !GEN_FOLDERS.includes(subRoomOf(from))) {
    return `in daemon/, gen is met only in ${GEN_FOLDERS.join(", ")}`;
  }
  if (isOpen(toRoom, to)) return undefined;
  return `import ${toRoom}/mod.ts instead of its inner files`;
}

/** What is wrong with loading a lazy door together with the file that names it. */
function lazyFault(node: Node, { from, to }: { from: string; to: string }): string | undefined {
  if (!(to in LAZY_DOORS) || roomOf(from) === "tests") return undefined;
  const isType = node.type === "ImportDeclaration" && node.importKind === "type";
  return isType || node.type === "ImportExpression" || node.type === "TSImportType"
    ? undefined
    : `${to} brings ${LAZY_DOORS[to]} along: load it with import() when it is wanted`;
}

const boundaries: Deno.lint.Rule = {
  create(context) {
    const from = pathOf(context);
    return visitImports((node, specifier) => {
      if (!specifier.startsWith(".")) return;
      const to = join(dirname(from), specifier).replaceAll("\\", "/");
      const fault = lazyFault(node, { from, to }) ?? arrowFault(from, to);
      if (fault !== undefined) context.report({ node, message: `Forbidden import: ${fault}` });
    });
  },
};

/** `npm:@scope/name@1/sub` and `@scope/name/sub` are both `@scope/name`. */
function packageOf(specifier: string): string {
  const parts = specifier.replace(/^(npm|jsr):\/?/, "").split("/");
  const name = parts.slice(0, parts[0]?.startsWith("@") ? 2 : 1).join("/");
  return name.replace(/(?<=.)@.*$/, "");
}

const oneLibraryOneRoom: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context);
    if (isIn(path, ["tests", "bench", "examples"])) return {};
    return {
      ...visitImports((node, specifier) => {
        const name = packageOf(specifier);
        const folders = LIBRARIES[name] ?? LIBRARIES[`${name.split("/")[0]}/*`];
        if (folders === undefined || isIn(path, folders)) return;
        context.report({ node, message: `${name} may only be imported in ${folders.join(", ")}` });
      }),
      MemberExpression(node) {
        if (memberName(node) !== "Deno.openKv" || isIn(path, ["kv"])) return;
        context.report({ node, message: "Deno.openKv may only be used in kv" });
      },
    };
  },
};

/** `a.b` or `a.b.c` as text; undefined for anything else. */
function memberName(node: Node): string | undefined {
  if (node.type === "Identifier") return node.name;
  if (node.type !== "MemberExpression" || node.computed || node.property.type !== "Identifier") {
    return undefined;
  }
  const object = memberName(node.object);
  return object === undefined ? undefined : `${object}.${node.property.name}`;
}

const fileSize: Deno.lint.Rule = {
  create(context) {
    return {
      Program(node) {
        const lines = context.sourceCode.text.trimEnd().split("\n").length;
        if (lines <= MAX_FILE_LINES) return;
        context.report({ node, message: `This file has ${lines} lines; the limit is ${MAX_FILE_LINES}` });
      },
    };
  },
};

const functionSize: Deno.lint.Rule = {
  create(context) {
    const measure = (node: Node) => {
      const lines = context.sourceCode.getText(node).split("\n").length;
      if (lines <= MAX_FUNCTION_LINES) return;
      context.report({
        node,
        message: `This function has ${lines} lines; the limit is ${MAX_FUNCTION_LINES}`,
      });
    };
    return { FunctionDeclaration: measure, FunctionExpression: measure, ArrowFunctionExpression: measure };
  },
};

const noDefaultExport: Deno.lint.Rule = {
  create(context) {
    if (pathOf(context) === "scripts/lint_plugin.ts") return {};
    const report = (node: Node) => context.report({ node, message: "Export by name, not as the default" });
    return {
      ExportDefaultDeclaration: report,
      ExportSpecifier(node) {
        if (node.exported.type === "Identifier" && node.exported.name === "default") report(node);
      },
    };
  },
};

const noEnum: Deno.lint.Rule = {
  create: (context) => ({
    TSEnumDeclaration: (node) =>
      context.report({ node, message: "Use a union of string literals, not an enum" }),
  }),
};

const noNonNull: Deno.lint.Rule = {
  create(context) {
    if (isIn(pathOf(context), ["tests"])) return {};
    return {
      TSNonNullExpression: (node) =>
        context.report({ node, message: "Check for null instead of asserting with !" }),
    };
  },
};

const fileNames: Deno.lint.Rule = {
  create: (context) => ({
    Program(node) {
      const name = basename(pathOf(context));
      if (/^[a-z0-9]+(_[a-z0-9]+)*(\.d)?\.[a-z]+$/.test(name)) return;
      context.report({ node, message: `${name}: file names are snake_case` });
    },
  }),
};

const noUtils: Deno.lint.Rule = {
  create: (context) => ({
    Program(node) {
      const name = basename(pathOf(context));
      if (!/^(.+_)?(utils?|helpers?|misc)(_test)?\./.test(name)) return;
      context.report({ node, message: `${name}: name a file after what it exports` });
    },
  }),
};

/** `setTimeout(resolve, 50)` and its ready-made forms; a delay of 0 only lets other work run first. */
const noSleepInTests: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context);
    if (!isIn(path, ["tests"]) || isIn(path, ["tests/support"])) return {};
    const report = (node: Node) => {
      context.report({ node, message: "Wait for an event or move a fake clock; never sleep in a test" });
    };
    return {
      ...visitImports((node, specifier) => {
        if (/^(node:)?timers\/promises$/.test(specifier)) report(node);
      }),
      CallExpression(node) {
        const [callback, delay] = node.arguments;
        if (memberName(node.callee) === "systemClock.sleep") report(node);
        if (memberName(node.callee) !== "setTimeout" || callback?.type !== "Identifier") return;
        if (delay !== undefined && !(delay.type === "Literal" && delay.value === 0)) report(node);
      },
    };
  },
};

const printing: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context);
    if (path === "cli/output.ts" || isIn(path, TOOLING)) return {};
    return {
      MemberExpression(node) {
        const name = memberName(node) ?? "";
        if (!/^console\.\w+$|^(Deno|process)\.std(out|err)\.(write|writeSync|writable)$/.test(name)) return;
        context.report({ node, message: `${name}: only cli/output.ts prints; log with a Logger` });
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "agentanycast",
  rules: {
    "boundaries": boundaries,
    "one-library-one-room": oneLibraryOneRoom,
    "file-size": fileSize,
    "function-size": functionSize,
    "no-default-export": noDefaultExport,
    "no-enum": noEnum,
    "no-non-null": noNonNull,
    "file-names": fileNames,
    "no-utils": noUtils,
    "no-sleep-in-tests": noSleepInTests,
    "printing": printing,
  },
};
export default plugin;
