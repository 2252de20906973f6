import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { StringDecoder } from "node:string_decoder"
import { EventParser, type ServerEvent } from "../../../../src/services/providers/internal/EventParser.ts"

describe("EventParser", () => {
  it.each<[string, string, ReadonlyArray<ServerEvent>]>([
    ["an event with a name", "event: a\ndata: 1\n\n", [{ name: "a", data: "1" }]],
    ["data without a space", "data:1\n\n", [{ name: "", data: "1" }]],
    ["one space before the data as no part of it", "data:  1\n\n", [{ name: "", data: " 1" }]],
    ["several lines of data as one text", "data: 1\ndata\ndata: 2\n\n", [{ name: "", data: "1\n\n2" }]],
    ["empty data", "data:\n\n", [{ name: "", data: "" }]],
    ["colons in data", "data: a:b: c\n\n", [{ name: "", data: "a:b: c" }]],
    ["no comment, id, retry or unknown field", ": hi\nid: 7\nretry: 10\ndatum: 1\nevents: 2\ndata: 1\n\n", [
      { name: "", data: "1" }
    ]],
    ["no event without data", "event: a\n\ndata: 1\n\n", [{ name: "", data: "1" }]],
    ["no byte order mark", "\uFEFFdata: 1\n\n", [{ name: "", data: "1" }]],
    ["no last event without a blank line after it", "data: 1\n\ndata: 2\n", [{ name: "", data: "1" }]],
    ["a name for one event only", "event: a\ndata: 1\n\ndata: 2\n\n", [{ name: "a", data: "1" }, {
      name: "",
      data: "2"
    }]],
    ["text that is no event stream as nothing", "<html>\n\n<body>data</body>\n\n", []]
  ])("reads %s", (_title, text, expected) => {
    assert.deepStrictEqual(new EventParser().feed(text), expected)
  })

  it.each([["LF", "\n"], ["CRLF", "\r\n"], ["CR", "\r"]])(
    "reads lines that end with %s, cut at every byte",
    (_name, end) => {
      const bytes = Buffer.from(sample.replaceAll("\n", end))
      for (let at = 0; at <= bytes.length; at++) {
        assert.deepStrictEqual(readAll([bytes.subarray(0, at), bytes.subarray(at)]), expected, `cut at ${at}`)
      }
      assert.deepStrictEqual(readAll([...bytes].map((byte) => Buffer.of(byte))), expected)
    }
  )

  it.effect.prop(
    "reads the same events however the bytes are cut, with line ends of all kinds",
    {
      ends: Schema.Array(Schema.Literals(["\n", "\r\n", "\r"])).check(Schema.isMinLength(1)),
      sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))).check(Schema.isMinLength(1))
    },
    ({ ends, sizes }) =>
      Effect.sync(() => {
        let line = 0
        const bytes = Buffer.from(sample.replaceAll("\n", () => ends[line++ % ends.length] ?? "\n"))
        const pieces: Array<Uint8Array> = []
        for (let at = 0, n = 0; at < bytes.length; n++) {
          const size = sizes[n % sizes.length] ?? 1
          pieces.push(bytes.subarray(at, at + size))
          at += size
        }
        // A CR that is followed by the LF of the next line end is one line end of two.
        if (ends.some((end, index) => end === "\r" && ends[(index + 1) % ends.length] === "\n")) return
        assert.deepStrictEqual(readAll(pieces), expected)
      }),
    { arbitrary: { runs: 200 } }
  )
})

const sample = "\uFEFF: hi\nevent: größe\ndata: {\"a\": \"ä😀\"}\ndata: 2\nid: 1\n\ndata: 3\n\n\ndata:4\n\n"

const expected: ReadonlyArray<ServerEvent> = [
  { name: "größe", data: "{\"a\": \"ä😀\"}\n2" },
  { name: "", data: "3" },
  { name: "", data: "4" }
]

const readAll = (pieces: ReadonlyArray<Uint8Array>): ReadonlyArray<ServerEvent> => {
  const parser = new EventParser()
  const decoder = new StringDecoder("utf8")
  return pieces.flatMap((piece) => parser.feed(decoder.write(Buffer.from(piece))))
}
