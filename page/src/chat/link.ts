/** The address of a link in an answer if it may be followed: the model chooses what stands there. */
export function safeAddress(href: string): string | undefined {
  try {
    const { protocol, href: address } = new URL(href);
    return ["http:", "https:", "mailto:"].includes(protocol) ? address : undefined;
  } catch {
    return undefined;
  }
}
