import { dirname, posix } from "node:path";
import ts from "typescript";
import { CodedError } from "../../core/errors.ts";
import { declaredNames, emitDeclaration } from "./emit.ts";

/** A name that comes from another file. */
interface Foreign {
  readonly path: string;
  readonly name: string;
}

/** The declarations of one file, and which of them somebody needs. */
interface DeclarationFile {
  readonly tree: ts.SourceFile;
  readonly faults: ReadonlyMap<string, string>;
  readonly declared: ReadonlyMap<string, readonly ts.Statement[]>;
  /** By the name it has here. */
  readonly foreign: ReadonlyMap<string, Foreign>;
  readonly needed: Set<string>;
}

/**
 * The declarations that users of the files `entries` see, by path: their exports and what these are made of, nothing else. `read`
 * gives the source of a path. Throws CodedError `invalid_argument` for a public type that is not written down.
 */
export async function declarePublic(
  entries: readonly string[],
  read: (path: string) => Promise<string>,
): Promise<Map<string, string>> {
  const files = new Map<string, DeclarationFile>();
  const open = async (path: string): Promise<DeclarationFile> => {
    const file = files.get(path) ?? parseDeclarations(path, await read(path));
    files.set(path, file);
    return file;
  };
  const wanted: Foreign[] = [];
  for (const path of entries) {
    const { declared, foreign } = await open(path);
    for (const name of [...declared.keys(), ...foreign.keys()]) wanted.push({ path, name });
  }
  for (const { path, name } of wanted) { // grows meanwhile
    const file = await open(path);
    if (file.needed.has(name)) continue;
    file.needed.add(name);
    const fault = file.faults.get(name);
    if (fault !== undefined) throw new CodedError("invalid_argument", fault);
    const source = file.foreign.get(name);
    if (source !== undefined) wanted.push(source);
    for (const statement of file.declared.get(name) ?? []) {
      for (const used of namesIn(statement)) {
        if (file.declared.has(used) || file.foreign.has(used)) wanted.push({ path, name: used });
      }
    }
  }
  return new Map([...files].map(([path, file]) => [path, print(file)]));
}

function parseDeclarations(path: string, source: string): DeclarationFile {
  const { text, faults } = emitDeclaration(path, source);
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const declared = new Map<string, ts.Statement[]>();
  const foreign = new Map<string, Foreign>();
  for (const statement of tree.statements) {
    for (const name of declaredNames(statement)) {
      declared.set(name, [...declared.get(name) ?? [], statement]);
    }
    const from = fileOf(statement);
    if (from === undefined) continue;
    for (const { name, propertyName = name } of specifiersOf(statement)) {
      foreign.set(name.text, { path: posix.join(dirname(path), from), name: propertyName.text });
    }
  }
  return { tree, faults, declared, foreign, needed: new Set() };
}

/** The file that a statement takes names from, when it does so. */
function fileOf(statement: ts.Statement): string | undefined {
  if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return undefined;
  const from = statement.moduleSpecifier;
  return from !== undefined && ts.isStringLiteral(from) && from.text.startsWith(".") ? from.text : undefined;
}

/** The names of an import or a re-export. Throws CodedError `unimplemented` for one that names none. */
function specifiersOf(statement: ts.Statement): readonly (ts.ImportSpecifier | ts.ExportSpecifier)[] {
  const names = ts.isImportDeclaration(statement)
    ? statement.importClause?.namedBindings
    : ts.isExportDeclaration(statement)
    ? statement.exportClause
    : undefined;
  if (names !== undefined && (ts.isNamedImports(names) || ts.isNamedExports(names))) return names.elements;
  const { fileName } = statement.getSourceFile();
  throw new CodedError("unimplemented", `Cannot follow in ${fileName}: ${statement.getText()}`);
}

/** The names that a declaration may be made of: all that stand in it, except for those it gives itself. */
function namesIn(statement: ts.Statement): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && (node.parent as { name?: ts.Node }).name !== node) names.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(statement);
  return names;
}

function print({ tree, needed }: DeclarationFile): string {
  const lines: string[] = [];
  for (const statement of tree.statements) {
    const from = fileOf(statement);
    if (from !== undefined) {
      const about = /\/\*\*(?:(?!\*\/)[^])*@module\s*\*\//.exec(statement.getFullText())?.[0];
      if (about !== undefined) lines.push(about);
      const names = specifiersOf(statement).filter(({ name }) => needed.has(name.text));
      if (names.length === 0) continue;
      const keyword = /^(im|ex)port( type)?/.exec(statement.getText())?.[0];
      const list = names.map((one) => one.getText()).join(", ");
      lines.push(`${keyword} { ${list} } from "${from.replace(/\.ts$/, ".js")}";`);
    } else if (ts.isImportDeclaration(statement) || declaredNames(statement).some((one) => needed.has(one))) {
      lines.push(textOf(statement));
    }
  }
  // Else all that stands here would be exported.
  const text = `${lines.join("\n")}\nexport {};\n`;
  // Not every program that uses the package has chosen a library with these.
  const disposes = /\bAsyncDisposable\b|\bDisposable\b|Symbol\.(asyncD|d)ispose/.test(text);
  return disposes ? `/// <reference lib="esnext.disposable" />\n${text}` : text;
}

/** The text of a declaration. TypeScript writes a method named by a symbol twice when it sees no library: as a property too. */
function textOf(statement: ts.Statement): string {
  const members = ts.isClassDeclaration(statement) ? statement.members : [];
  const methods = members.flatMap((one) => ts.isMethodDeclaration(one) ? one.name.getText() : []);
  const twice = members.find((one) => ts.isPropertyDeclaration(one) && methods.includes(one.name.getText()));
  const text = statement.getFullText();
  if (twice === undefined) return text.trim();
  return (text.slice(0, twice.pos - statement.pos) + text.slice(twice.end - statement.pos)).trim();
}
