/**
 * Describes a body that cannot be read, for an error.
 */

/** The longest quotation of a body, in characters. */
const maxWords = 100

/** Returns the type, the length and the first words of a body. It takes anything, and never throws. */
export const describe = (
  { body, header, length, status }: {
    readonly status: number
    readonly header: (name: string) => string | undefined
    readonly body: unknown
    readonly length: unknown
  },
  scrub: (text: string, max: number) => string
): string => {
  const text = typeof body === "string" ? body : textOf(body)
  const type = scrub(header("content-type") ?? "", maxWords) || "no content type"
  const size = typeof length === "number" ? length : text.length
  const words = scrub(text, maxWords)
  const arrived = size === 0 ? "empty" : `${size} character${size === 1 ? "" : "s"}`
  return `HTTP ${status} with a body that cannot be read: ${type}, ${arrived}${words === "" ? "" : `: ${words}`}`
}

const textOf = (body: unknown): string => {
  try {
    return JSON.stringify(body) ?? ""
  } catch {
    return ""
  }
}
