import ts from "typescript";
import { CodedError } from "../../core/errors.ts";

/** Node.js 20 knows this, and `using` is written so that it does. */
const TARGET = ts.ScriptTarget.ES2022;

/** Of a file in TypeScript: the program, and the way back from there to the source. */
export interface EmittedModule {
  readonly code: string;
  readonly map: string;
}

/** Takes the types out of `source`; `path` is from the root of the package. Throws CodedError `invalid_argument`. */
export function emitModule(path: string, source: string): EmittedModule {
  const { outputText, sourceMapText = "", diagnostics = [] } = ts.transpileModule(source, {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: {
      target: TARGET,
      module: ts.ModuleKind.ESNext,
      rewriteRelativeImportExtensions: true,
      removeComments: true,
      sourceMap: true,
      inlineSources: true,
    },
  });
  refuse(path, diagnostics);
  return { code: outputText, map: sourceMapText };
}

/** What others see of a file in TypeScript. */
export interface EmittedDeclaration {
  readonly text: string;
  /** Why a declaration at the top of the file cannot be told, by the names it has. */
  readonly faults: ReadonlyMap<string, string>;
}

/** Takes all but the types that others see out of `source`. */
export function emitDeclaration(path: string, source: string): EmittedDeclaration {
  const { outputText, diagnostics = [] } = ts.transpileDeclaration(source, {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: {
      target: TARGET,
      module: ts.ModuleKind.ESNext,
      isolatedDeclarations: true,
      strict: true,
    },
  });
  const faults = new Map<string, string>();
  for (const diagnostic of diagnostics) {
    const { file, start = 0 } = diagnostic;
    const statement = file?.statements.find(({ pos, end }) => pos <= start && start < end);
    const names = statement === undefined ? [] : declaredNames(statement);
    if (names.length === 0) refuse(path, [diagnostic]);
    for (const name of names) faults.set(name, explain(path, diagnostic));
  }
  return { text: outputText, faults };
}

/** The names that a statement at the top of a file declares. */
export function declaredNames(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  }
  const { name } = statement as ts.Statement & { name?: ts.Node };
  return name === undefined ? [] : [name.getText()];
}

function refuse(path: string, [first]: readonly ts.Diagnostic[]): void {
  if (first !== undefined) throw new CodedError("invalid_argument", explain(path, first));
}

function explain(path: string, { file, start, messageText }: ts.Diagnostic): string {
  const line = file?.getLineAndCharacterOfPosition(start ?? 0).line;
  const where = line === undefined ? path : `${path}:${line + 1}`;
  return `Cannot translate ${where} for Node.js: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
}
