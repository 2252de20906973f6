/**
 * What may be kept of foreign text: capped, one line, without keys.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"

/**
 * The longest foreign text that is looked at, in characters. The rest is
 * dropped before any pattern runs.
 *
 * @category models
 * @since 0.1.0
 */
export const maxRead = 8192

/**
 * Keys shorter than this many characters are taken for placeholders such as
 * `none` or `ollama`, and are not looked for.
 */
const minKeyLength = 8

/**
 * Creates a scrubber of foreign text.
 *
 * **Details**
 *
 * The result has at most `max` characters, no control characters and no lone
 * surrogates; white space is folded to one space. Each of `keys` is replaced
 * by `[redacted]` wherever it stands, as are runs of at least ten characters
 * that begin or end one of them, strings shaped like a key, and keys that the
 * provider has masked with asterisks itself.
 *
 * **Gotchas**
 *
 * Text beyond `maxRead` characters is not read; a word cut there is dropped,
 * since it may be the beginning of a key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (keys: ReadonlyArray<Redacted.Redacted<string>>): (text: string, max: number) => string => {
  const secrets = keys.flatMap(secretOf)
  return (text, max) => {
    const plain = withoutControls(clipped(text))
    const known = secrets.reduce(withoutSecret, plain)
    const scrubbed = shapes.reduce((out, [pattern, replacement]) => out.replace(pattern, replacement), known)
    return cut(scrubbed.trim(), max)
  }
}

const redacted = "[redacted]"

// A wiped Redacted throws when it is read.
const secretOf = (key: Redacted.Redacted<string>): ReadonlyArray<string> => {
  try {
    const value = Redacted.value(key).trim()
    return value.length < minKeyLength ? [] : [value]
  } catch {
    return []
  }
}

const clipped = (text: string): string => {
  if (text.length <= maxRead) return text
  const head = text.slice(0, maxRead)
  return head.slice(0, Math.max(head.search(/\s\S*$/), maxRead - 1024))
}

const withoutControls = (text: string): string =>
  text.replace(/[\t\n\v\f\r\u0085\u2028\u2029 ]+/g, " ").replace(/[\p{Cc}\p{Cf}]/gu, "")

const partLength = 10

const withoutSecret = (text: string, secret: string): string => {
  const whole = text.replaceAll(secret, redacted)
  if (secret.length < partLength) return whole
  return withoutTail(withoutHead(whole, secret), secret)
}

const withoutHead = (text: string, secret: string): string => {
  const head = secret.slice(0, partLength)
  let out = ""
  let from = 0
  for (let at = text.indexOf(head); at >= 0; at = text.indexOf(head, from)) {
    let end = at + partLength
    while (end < text.length && text[end] === secret[end - at]) end++
    out += text.slice(from, at) + redacted
    from = end
  }
  return out + text.slice(from)
}

const withoutTail = (text: string, secret: string): string => {
  const tail = secret.slice(-partLength)
  let out = ""
  let from = 0
  for (let at = text.indexOf(tail); at >= 0; at = text.indexOf(tail, from)) {
    const end = at + partLength
    let start = at
    while (start > from && text[start - 1] === secret[secret.length - 1 - (end - start)]) start--
    out += text.slice(from, start) + redacted
    from = end
  }
  return out + text.slice(from)
}

// Every pattern is anchored at a fixed word and repeats one character class,
// so that matching takes time linear in the text.
const shapes: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(?:sk|pk|rk|gsk|csk|xai|pplx|nvapi|tgp|fw|r8|hf|ghp|gho|ghs|glpat|ya29)[-_.][\w.-]{11,}\w/g, redacted],
  [/\bsk-[\w-]{6,}/g, redacted],
  [/\bAIza[\w-]{12,}/g, redacted],
  [/\bgithub_pat_\w{12,}/g, redacted],
  [/\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}/g, redacted],
  [/\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}/g, redacted],
  [/\b(Bearer|Basic) +[\w.~+/=-]{8,}/gi, `$1 ${redacted}`],
  [/\b((?:x-)?(?:goog-)?api[-_]?key|authorization)(["']? ?[:=] ?["']?)[^\s"',;&)}[\]]{6,}/gi, `$1$2${redacted}`],
  [
    /\b((?:[a-z]{1,20}[-_]){0,3}(?:key|token|secret|password|signature|credential))(["']? ?[:=] ?["']?)[\w+/=.~-]{16,}/gi,
    `$1$2${redacted}`
  ],
  [/\b(key provided:? )[^\s"',;)}[\]]{4,}/gi, `$1${redacted}`],
  [/(:\/\/)[^\s/@:]{0,200}:[^\s/@]{1,200}@/g, `$1${redacted}@`],
  [/[\w-]{0,40}\*{3,}[\w-]{0,40}/g, redacted]
]

const cut = (text: string, max: number): string =>
  (text.length <= max ? text : `${text.slice(0, max - 1)}…`)
    .replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD")
