/** Figures as people read them. */

export function decimals(value: number, digits: number): string {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** With its sign, a real minus among them. */
export function signed(value: number, digits: number): string {
  const size = decimals(Math.abs(value), digits);
  if (Number(size) === 0) return size;
  return `${value < 0 ? "−" : "+"}${size}`;
}

/** 0.14 s, 2.3 s, 12 s */
export function seconds(ms: number): string {
  const s = ms / 1000;
  return `${decimals(s, s < 1 ? 2 : s < 10 ? 1 : 0)} s`;
}

/** 1, 0.5, 0.75: a scale without zeros that say nothing. */
export function scale(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** The last part of a path. */
export function fileName(path: string): string {
  return path.split(/[/\\]/).filter(Boolean).at(-1) ?? path;
}
