import * as Fs from "node:fs"
import * as Path from "node:path"

export interface RecordedReply {
  readonly file: string
  readonly index: number
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/**
 * The recorded replies of status 200 with a JSON object, to requests whose url
 * matches, or without a request and with choices; none when
 * `HOLDFAST_RECORDINGS` does not name the folder.
 */
export const recordedReplies = (url: RegExp | undefined): ReadonlyArray<RecordedReply> => {
  const folder = process.env.HOLDFAST_RECORDINGS
  if (folder === undefined) return []
  return Fs.readdirSync(folder).filter((name) => name.endsWith(".json")).flatMap((file) => {
    const { exchanges } = JSON.parse(Fs.readFileSync(Path.join(folder, file), "utf8")) as { exchanges: Array<Exchange> }
    return exchanges.flatMap(({ request, response }, index) =>
      (url === undefined
          ? request === null && Array.isArray(Object(response.body).choices)
          : request !== null && url.test(request.url ?? "") && request.method !== "DELETE") &&
        response.status === 200 && typeof response.body === "object"
        ? [{ file, index, status: 200, headers: new Headers(response.headers), body: response.body }]
        : []
    )
  })
}

interface Exchange {
  readonly request: { readonly method?: string; readonly url?: string } | null
  readonly response: { readonly status: number; readonly headers?: Record<string, string>; readonly body: unknown }
}

export interface RecordedStream {
  readonly file: string
  readonly index: number
  readonly url: string
  readonly body: string
}

/**
 * The recorded event streams that answered requests whose url matches, or that
 * came without a request; none without `HOLDFAST_RECORDINGS`.
 */
export const recordedStreams = (url: RegExp | undefined): ReadonlyArray<RecordedStream> => {
  const folder = process.env.HOLDFAST_RECORDINGS
  if (folder === undefined) return []
  return Fs.readdirSync(folder).filter((name) => name.endsWith(".json")).flatMap((file) => {
    const { exchanges } = JSON.parse(Fs.readFileSync(Path.join(folder, file), "utf8")) as { exchanges: Array<Exchange> }
    return exchanges.flatMap(({ request, response: { body } }, index) => {
      const asked = request?.url ?? undefined
      const isMatch = url === undefined ? asked === undefined : asked !== undefined && url.test(asked)
      return isMatch && typeof body === "string" && /^data:/m.test(body)
        ? [{ file, index, url: asked ?? "", body }]
        : []
    })
  })
}
