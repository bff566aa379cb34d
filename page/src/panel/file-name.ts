/** Longest name that the server takes for a file or a collection. */
const MAX = 100;

/**
 * A name that the server takes, made of one that may have anything in it: letters, digits, `.`, `_` and `-`, with a
 * letter or digit at both ends. The ending stays, since it says how to read the file.
 */
export function serverName(name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "");
  const ending = /\.([A-Za-z0-9]{1,10})$/.exec(plain)?.[1] ?? "";
  const stem = trim(ending === "" ? plain : plain.slice(0, -ending.length - 1)) || "file";
  if (ending === "") return trim(stem.slice(0, MAX));
  return `${trim(stem.slice(0, MAX - ending.length - 1))}.${ending}`;
}

function trim(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "");
}
