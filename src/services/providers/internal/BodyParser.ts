/**
 * Finds out what a body holds, as it arrives: events, or one JSON document. The content decides, not the content type.
 */
import { maxBodyBytes } from "./BodyLimits.ts"
import { EventParser, isJsonEvent, type ServerEvent } from "./EventParser.ts"
import { type Fields, fieldsOf, isFields, itemsOf, parse, textOf } from "./JsonBody.ts"

/** What a body that has ended holds. */
export type Body =
  | { readonly _tag: "Events" }
  | { readonly _tag: "Json"; readonly value: unknown; readonly length: number }
  /** Neither events nor JSON: `start` has its first characters, `length` counts all. */
  | { readonly _tag: "Unreadable"; readonly start: string; readonly length: number }

/** Characters of a body that are kept for an error. */
const maxStart = 8192

/**
 * A parser of one body.
 *
 * Blank lines, comments and a byte order mark may come first. A body that then begins like JSON is one document, or one
 * JSON event a line; everything else is parsed as server-sent events. `[DONE]` after a document is left out.
 */
export class BodyParser {
  #start = ""
  #length = 0
  #lengthWithoutEvent = 0
  #mode: "Head" | "Comment" | "Events" | "Document" | "Lines" = "Head"
  #hasEvents = false
  /** How much of a document's first two lines has come. */
  #lines: "First" | "Ended" | "Second" = "First"
  /** Pieces of the document, or of a line that has not ended. */
  #pieces: Array<string> = []
  readonly #events = new EventParser()

  /** Parses a body that is there as a whole. */
  static of(text: string): { readonly events: ReadonlyArray<ServerEvent>; readonly body: Body } {
    const parser = new BodyParser()
    const first = parser.feed(text)
    const { body, events } = parser.end()
    return { events: first.concat(events), body }
  }

  /** Whether more has come without an event than what is read. */
  get isOverfull(): boolean {
    return this.#lengthWithoutEvent > maxBodyBytes
  }

  /** Returns the events that end in the next piece of text. */
  feed(piece: string): Array<ServerEvent> {
    this.#length += piece.length
    if (this.#start.length < maxStart) this.#start += piece.slice(0, maxStart - this.#start.length)
    const events = this.#parse(this.#mode === "Head" || this.#mode === "Comment" ? this.#afterHead(piece) : piece)
    this.#lengthWithoutEvent = events.length > 0 ? 0 : this.#lengthWithoutEvent + piece.length
    this.#hasEvents ||= events.length > 0
    return events
  }

  /** Ends the body. `events` are those that end with it. */
  end(): { readonly events: ReadonlyArray<ServerEvent>; readonly body: Body } {
    if (this.#mode === "Document") return this.#document()
    const rest = this.#pieces.join("")
    const events = this.#mode === "Lines" ? eventsOf(rest).filter(isJsonEvent) : this.#events.end()
    return { events, body: this.#hasEvents || events.length > 0 ? { _tag: "Events" } : this.#unreadable() }
  }

  #parse(text: string): Array<ServerEvent> {
    switch (this.#mode) {
      case "Head":
      case "Comment":
        return []
      case "Events":
        return this.#events.feed(text)
      case "Document":
        return this.#feedDocument(text)
      case "Lines":
        return this.#feedLines(text)
    }
  }

  /** Drops blank lines and comments, and decides what the body is from what follows them. */
  #afterHead(piece: string): string {
    let at = 0
    for (;;) {
      if (this.#mode === "Comment") {
        const end = /[\r\n]/g
        end.lastIndex = at
        if (!end.test(piece)) return ""
        at = end.lastIndex
        this.#mode = "Head"
      }
      const next = /[^\s\uFEFF]/g
      next.lastIndex = at
      if (!next.test(piece)) return ""
      at = next.lastIndex - 1
      const first = piece[at]
      this.#mode = first === ":" ? "Comment" : first === "{" || first === "[" ? "Document" : "Events"
      if (this.#mode !== "Comment") return piece.slice(at)
    }
  }

  #feedDocument(text: string): Array<ServerEvent> {
    this.#pieces.push(text)
    if (this.#lines === "Second") return []
    const end = this.#lines === "First" ? text.search(/[\r\n]/) : 0
    if (end >= 0) this.#lines = /\S/.test(text.slice(end)) ? "Second" : "Ended"
    if (this.#lines !== "Second") return []
    const [line = ""] = this.#pieces.join("").split(/[\r\n]/, 1)
    if (!isPiece(parse(line))) return []
    this.#mode = "Lines"
    const all = this.#takePieces()
    return this.#feedLines(all)
  }

  #feedLines(text: string): Array<ServerEvent> {
    const end = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r")) + 1
    if (end === 0) {
      this.#pieces.push(text)
      return []
    }
    const lines = this.#takePieces() + text.slice(0, end)
    this.#pieces.push(text.slice(end))
    return eventsOf(lines)
  }

  #takePieces(): string {
    const text = this.#pieces.join("")
    this.#pieces = []
    return text
  }

  #document(): { readonly events: ReadonlyArray<ServerEvent>; readonly body: Body } {
    const text = this.#takePieces().trim()
    let value = parse(text)
    if (typeof value === "string") value = parse(withoutEnd(text))
    if (typeof value !== "string") {
      const items = Array.isArray(value) ? value : [value]
      return items.length > 0 && items.every(isPiece)
        ? { events: items.map((item) => ({ name: "", data: JSON.stringify(item) })), body: { _tag: "Events" } }
        : { events: [], body: { _tag: "Json", value, length: this.#length } }
    }
    const lines = eventsOf(text)
    return lines.length > 1 && lines.every(isJsonEvent)
      ? { events: lines, body: { _tag: "Events" } }
      : { events: [], body: this.#unreadable() }
  }

  #unreadable(): Body {
    return { _tag: "Unreadable", start: this.#start, length: this.#length }
  }
}

/** Returns whether the JSON is one event of a stream, of any protocol. */
const isPiece = (value: unknown): boolean => {
  if (!isFields(value)) return false
  const type = textOf(value.type)
  return type.startsWith("response.") || pieceTypes.has(type) || textOf(value.event_type) !== "" ||
    value.object === "chat.completion.chunk" ||
    // Perplexity's plain answers have both.
    itemsOf(value.choices).map(fieldsOf).some(({ delta, message }) => isFields(delta) && !isFields(message))
}

const pieceTypes: ReadonlySet<string> = new Set([
  "message_start",
  "message_delta",
  "message_stop",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "ping"
])

/** Returns whether an event carries a whole answer, as a plain call would have had it. */
export const isWholeAnswer = (value: unknown): value is Fields => {
  if (!isFields(value) || isPiece(value)) return false
  return value.object === "response" || value.type === "message" ||
    itemsOf(value.choices).map(fieldsOf).some(({ delta, finish_reason, message }) =>
      isFields(message) && !isFields(delta) && typeof finish_reason === "string"
    )
}

// Some hosts leave the line break before `data: [DONE]` out.
const withoutEnd = (text: string): string => {
  const lines = text.split(/\r\n|\r|\n/)
  while (/^(?::|event:|id:|retry:|$)/.test(lines.at(-1) ?? "-")) lines.pop()
  return lines.join("\n").trimEnd().replace(/(?:data: ?)?\[DONE\]$/, "")
}

/** Returns whether a body holds nothing but blank lines and comments. */
export const isSilent = (body: unknown): boolean =>
  typeof body === "string" && body.split(/[\r\n]/).every((line) => line.trim() === "" || line.startsWith(":"))

/** Returns the lines of newline-delimited JSON, also where they have the form of events. */
export const linesOf = (text: string): ReadonlyArray<string> =>
  text.split(/[\r\n]+/)
    .map((line) => line.replace(/^data:/, "").trim())
    .filter((line) => line !== "" && !/^(?::|event:|id:|retry:)/.test(line))

const eventsOf = (text: string): Array<ServerEvent> => linesOf(text).map((data) => ({ name: "", data }))
