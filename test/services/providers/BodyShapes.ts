import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { gzipSync } from "node:zlib"

/** One answer of a protocol, in its two forms. */
export interface Forms {
  readonly plain: object
  readonly events: ReadonlyArray<object>
}

/** What a server sends. */
export interface Body {
  readonly type: string
  readonly text: string
}

/** The shapes that an answer has been seen in, or may have. */
export const shapes: Readonly<Record<string, (forms: Forms) => Body>> = {
  "JSON": ({ plain }) => json(line(plain)),
  "JSON over several lines": ({ plain }) => json(JSON.stringify(plain, undefined, 2)),
  "JSON called an event stream": ({ plain }) => stream(line(plain)),
  "JSON after blank lines": ({ plain }) => json(`\n\n  \r\n\n${line(plain)}`),
  "JSON after comments": ({ plain }) => stream(`: PROCESSING\n\n: {"not": "this"}\n\n${line(plain)}\n`),
  "JSON after a byte order mark": ({ plain }) => json(`\uFEFF${line(plain)}`),
  "JSON before data: [DONE]": ({ plain }) => json(`${line(plain)}\n\ndata: [DONE]\n\n`),
  "JSON before data: [DONE] in one line": ({ plain }) => stream(`${line(plain)}data: [DONE]\n\n`),
  "JSON over several lines before [DONE]": ({ plain }) => json(`${JSON.stringify(plain, undefined, 2)}\n[DONE]\n`),
  "JSON before comments": ({ plain }) => stream(`${line(plain)}\n\n: keep-alive\n\n`),
  "JSON in one event": ({ plain }) => stream(`data: ${line(plain)}\n\n`),
  "JSON in one event with an end": ({ plain }) => json(`event: message\ndata: ${line(plain)}\n\ndata: [DONE]\n\n`),
  "JSON in one event without its blank line": ({ plain }) => stream(`data: ${line(plain)}`),
  "JSON in one event after a beat": ({ plain }) =>
    stream(`event: ping\ndata: {"type":"ping"}\n\ndata: ${line(plain)}\n\n`),
  "named events": ({ events }) => stream(named(events)),
  "named events called JSON": ({ events }) => json(named(events)),
  "named events after a byte order mark, with CRLF": ({ events }) =>
    stream(`\uFEFF${named(events).replaceAll("\n", "\r\n")}`),
  "events without names": ({ events }) => stream(unnamed(events)),
  "events after comments and blank lines": ({ events }) => stream(`\n: hi\n\n\n: hi\nretry: 1\n\n${unnamed(events)}`),
  "events with [DONE]": ({ events }) => stream(`${unnamed(events)}data: [DONE]\n\n`),
  "events without the last blank line": ({ events }) => stream(unnamed(events).trimEnd()),
  "lines of JSON": ({ events }) => ({
    type: "application/x-ndjson",
    text: events.map((event) => `${line(event)}\n`).join("")
  }),
  "lines of JSON with an end": ({ events }) => json(`${events.map(line).join("\r\n")}\r\ndata: [DONE]\r\n`),
  "an array of events": ({ events }) => json(JSON.stringify(events))
}

/** How a body that is whole may end. */
export const endings = ["end", "gzip", "reset", "gzip reset", "short"] as const

export type Ending = typeof endings[number]

/** A server on loopback whose answers have the bodies that `replyTo` gives for a path. It ends with its scope. */
export const serve = Effect.gen(function*() {
  const state = {
    replyTo: (_path: string): { readonly body: Body; readonly ending: Ending } => ({ body: json("{}"), ending: "end" }),
    url: ""
  }
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      const { body: { text, type }, ending } = state.replyTo(request.url ?? "")
      const isGzip = ending.startsWith("gzip")
      const bytes = isGzip ? gzipSync(text) : Buffer.from(text)
      response.writeHead(200, {
        "content-type": type,
        ...(isGzip ? { "content-encoding": "gzip" } : {}),
        ...(ending === "short" ? { "content-length": bytes.length + 10 } : {})
      })
      if (ending === "end" || ending === "gzip") response.end(bytes)
      else response.write(bytes, () => setTimeout(() => response.destroy(), 5))
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })
  )
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
})

const json = (text: string): Body => ({ type: "application/json", text })

const stream = (text: string): Body => ({ type: "text/event-stream", text })

const line = (value: object): string => JSON.stringify(value)

const unnamed = (events: ReadonlyArray<object>): string => events.map((event) => `data: ${line(event)}\n\n`).join("")

const named = (events: ReadonlyArray<object>): string =>
  events.map((event) => {
    const name = Object.entries(event).find(([key]) => key === "type" || key === "event_type")?.[1] ?? "message"
    return `event: ${name}\ndata: ${line(event)}\n\n`
  }).join("")
