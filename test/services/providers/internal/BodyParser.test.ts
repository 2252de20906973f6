import { assert, describe, it } from "@effect/vitest"
import { type Body, BodyParser } from "../../../../src/services/providers/internal/BodyParser.ts"
import { type Forms, shapes } from "../BodyShapes.ts"

describe("BodyParser", () => {
  it.each(Object.entries(shapes))("reads the same wherever the body is cut into pieces: %s", (_name, shapeOf) => {
    const { text } = shapeOf(forms)
    const whole = read([text])

    assert.deepStrictEqual(read([...text]), whole)
    for (let at = 0; at <= text.length; at++) {
      assert.deepStrictEqual(read([text.slice(0, at), text.slice(at)]), whole, `cut at ${at}`)
    }
  })

  it("emits each line of JSON as soon as it has ended, the first one with the beginning of the second", () => {
    const parser = new BodyParser()
    const chunk = JSON.stringify(forms.events[0])

    assert.lengthOf(parser.feed(chunk), 0)
    assert.lengthOf(parser.feed("\r"), 0)
    assert.lengthOf(parser.feed("\n"), 0)
    assert.lengthOf(parser.feed("{"), 1)
    assert.lengthOf(parser.feed(`${chunk.slice(1)}\n${chunk}`), 1)
    assert.lengthOf(parser.feed("\r\n"), 1)
    assert.lengthOf(parser.end().events, 0)
  })

  it.each([
    ["nothing", ""],
    ["blank lines", "\n \r\n\t"],
    ["comments", ": one\n: {\"two\": 2}\n\n"],
    ["HTML", "<html>\n\n<p>data: 1</p></html>"],
    ["text", "upstream connect error"],
    ["a bare value", "42"],
    ["null", "null"],
    ["text in brackets", "[ERROR] upstream"],
    ["an end alone", "[DONE]"],
    ["JSON that is cut", "{\"id\": \"resp_1\", \"output\": [{"],
    ["JSON that is cut, over several lines", "{\n  \"id\": \"resp_1\",\n  \"output\": ["],
    ["JSON before HTML", "{\"id\": 1}<html></html>"],
    ["an event that is cut", "data: {\"id\": \"resp_1\", \"outp"],
    ["JSON deeper than any API nests it", "[".repeat(501) + "]".repeat(501)]
  ])("finds neither events nor JSON in %s", (_name, text) => {
    assert.deepStrictEqual(read([text]), { events: [], body: { _tag: "Unreadable", start: text, length: text.length } })
  })

  it("keeps the first 8,192 characters of what it cannot read, and counts all", () => {
    const { body } = read(["<", "x".repeat(10_000), "y".repeat(10_000)])

    assert.deepStrictEqual(body, { _tag: "Unreadable", start: `<${"x".repeat(8191)}`, length: 20_001 })
  })

  it("takes an error for a document, not for an event", () => {
    const error = { error: { message: "no" } }

    assert.deepStrictEqual(read([`${JSON.stringify(error)}\n`]).body, { _tag: "Json", value: error, length: 27 })
  })

  it("takes an answer for a document although it has a delta as well", () => {
    const choice = { message: { content: "Hello" }, delta: { content: "" }, finish_reason: "stop" }
    const answer = { id: "c", choices: [choice] }

    assert.deepStrictEqual(read([JSON.stringify(answer)]).body, { _tag: "Json", value: answer, length: 100 })
  })

  it.each([
    ["a document", "{\"a\":\"", "x".repeat(64)],
    ["a line of JSON", "{\"type\":\"ping\"}\n{\"a\":\"", "x".repeat(64)],
    ["one event", "data: ", "x".repeat(64)],
    ["an event of many lines", "", `data: ${"x".repeat(58)}\n`],
    ["comments", "", `: ${"x".repeat(61)}\n`],
    ["one comment", ": ", "x".repeat(64)],
    ["blank lines", "", "\n".repeat(64)]
  ])("takes time linear in %s", (_name, start, piece) => {
    const timeOf = (pieces: number) => {
      const parser = new BodyParser()
      const startedAt = performance.now()
      parser.feed(start)
      for (let index = 0; index < pieces; index++) parser.feed(piece)
      parser.end()
      return performance.now() - startedAt
    }
    timeOf(20_000)

    // Quadratic time would take minutes.
    assert.isBelow(timeOf(200_000), 3000)
  })
})

const forms: Forms = {
  plain: { id: "c", object: "chat.completion", choices: [{ message: { content: "Héllo\n{" }, finish_reason: "stop" }] },
  events: [
    { id: "c", type: "chunk", choices: [{ delta: { content: "Hé" } }] },
    { id: "c", type: "chunk", choices: [{ delta: { content: "llo\n{" }, finish_reason: "stop" }] }
  ]
}

const read = (pieces: ReadonlyArray<string>): { readonly events: ReadonlyArray<object>; readonly body: Body } => {
  const parser = new BodyParser()
  const events = pieces.flatMap((piece) => parser.feed(piece))
  const end = parser.end()
  return { events: [...events, ...end.events], body: end.body }
}
