/** Rows of text with aligned columns: the first one to the left, the others to the right. */
export function toTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    )
      .join("  ").trimEnd()
  ).join("\n");
}

/** A number with three digits that count. */
export function toDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
