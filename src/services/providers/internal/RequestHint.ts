/**
 * What the message of an address that does not exist says of the request.
 */

/** A request, as it was sent. */
export interface SentRequest {
  readonly method: string
  readonly url: string
}

/**
 * Returns the method and the URL of a request, without query, user name and password, and what is likely to be wrong with
 * the base URL; `undefined` for a URL that cannot be parsed.
 */
export const of = ({ method, url }: SentRequest): string | undefined => {
  const shown = parse(url)
  return shown === undefined ? undefined : `${method.toUpperCase()} ${shown.text}${hintOf(shown.path)}`
}

const parse = (text: string): { readonly text: string; readonly path: string } | undefined => {
  try {
    const { origin, pathname } = new URL(text)
    return { text: `${origin}${pathname}`, path: pathname }
  } catch {
    return undefined
  }
}

const hintOf = (path: string): string => {
  const doubled = /\/(v\d[^/]*)\/\1(?:\/|$)/.exec(path)
  if (doubled !== null) return `; the base URL must not end with /${doubled[1]}, which is added to it`
  return /\/v\d[^/]*(?:\/|$)/.test(path) ? "" : "; the base URL may have to end with /v1"
}
