import { dirname, join } from "node:path";
import ts from "typescript";

/** How a user's program is checked. */
export interface TypeCheck {
  /** What the program sees of the language, such as `lib.es2022.d.ts`. */
  readonly lib: readonly string[];
  readonly moduleResolution: "nodenext" | "bundler";
  /** Where packages are, for programs that are not beside them. */
  readonly packages?: string;
  /** By file: what stands there in place of it. */
  readonly replaced?: ReadonlyMap<string, string>;
}

/** Declarations of the language and of Node.js, which all checks share. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/** What strict TypeScript says about `files` and the declarations of the SDK they use, line by line; empty when it is content. */
export function checkTypes(
  files: readonly string[],
  { lib, moduleResolution, packages, replaced }: TypeCheck,
): string {
  const isNext = moduleResolution === "nodenext";
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    lib: [...lib],
    types: ["node"],
    module: isNext ? ts.ModuleKind.NodeNext : ts.ModuleKind.ESNext,
    moduleResolution: isNext ? ts.ModuleResolutionKind.NodeNext : ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    resolveJsonModule: true,
    ...(packages !== undefined && { typeRoots: [join(packages, "node_modules", "@types")] }),
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile;
  host.getSourceFile = (file, how, onError) => {
    if (!/\/(typescript|@types)\//.test(file)) return read(file, how, onError);
    const found = parsed.get(file) ?? read(file, how, onError);
    parsed.set(file, found);
    return found;
  };
  if (packages !== undefined) {
    const cache = ts.createModuleResolutionCache(packages, (name) => name, options);
    host.resolveModuleNameLiterals = (literals, file, _, options, source) =>
      literals.map((literal) => {
        const from = literal.text.startsWith(".") ? file : join(packages, "program.ts");
        const mode = ts.getModeForUsageLocation(source, literal, options);
        const found = ts.resolveModuleName(literal.text, from, options, host, cache, undefined, mode);
        const other = replaced?.get(found.resolvedModule?.resolvedFileName ?? "");
        return other === undefined
          ? found
          : { resolvedModule: { resolvedFileName: other, extension: ".d.ts" } };
      });
  }
  host.getCurrentDirectory = () => packages ?? dirname(files[0] ?? "");
  const program = ts.createProgram({ rootNames: files, options, host });
  // What others declare is checked where they make it.
  const ours = program.getSourceFiles().filter(({ fileName }) =>
    !/\/typescript\/|\/node_modules\/(?!@agentanycast\/)/.test(fileName)
  );
  const found = [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...ours.flatMap((
      file,
    ) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]),
  ];
  return ts.formatDiagnostics(found, {
    getCurrentDirectory: host.getCurrentDirectory,
    getCanonicalFileName: (name) => name,
    getNewLine: () => "\n",
  });
}
