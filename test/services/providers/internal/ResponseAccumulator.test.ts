import { assert, describe, it } from "@effect/vitest"
import { type Added, ResponseAccumulator } from "../../../../src/services/providers/internal/ResponseAccumulator.ts"

describe("ResponseAccumulator", () => {
  it.each<[string, Partial<Dialect>]>([
    ["every event of OpenAI", {}],
    ["no ids", { hasIds: false }],
    ["no indices", { hasIndices: false }],
    ["neither ids nor indices", { hasIds: false, hasIndices: false }],
    ["no item that is added", { hasAdded: false }],
    ["no item that is done", { hasDone: false }],
    ["deltas alone", { hasAdded: false, hasDone: false }],
    ["deltas alone, without ids", { hasAdded: false, hasDone: false, hasIds: false }],
    ["another id in each event", { changesIds: true }],
    ["index 0 for all items", { hasZeroIndices: true }],
    ["whole items alone", { hasDeltas: false }],
    ["whole items alone, without ids", { hasDeltas: false, hasIds: false }]
  ])("puts an answer together from a stream with %s", (_title, dialect) => {
    const { answer, emitted } = accumulate(eventsOf([reasoning, message("m1", "Hello ", "world"), search], dialect))

    assert.strictEqual(emitted, "Hello world")
    assert.strictEqual(textOf(answer.outputWith([])), "Hello world")
    assert.strictEqual(textOf(answer.outputWith([message("m1", "Hello world")])), "Hello world")
  })

  it.each<[string, ReadonlyArray<object>, string]>([
    ["nothing", [], "Hello world"],
    ["less", [message("m1", "Hello")], "Hello world"],
    ["the same", [message("m1", "Hello world")], "Hello world"],
    ["the same twice", [message("m1", "Hello world"), message("m1", "Hello world")], "Hello world"],
    ["the same under another id", [message("m9", "Hello world")], "Hello world"],
    ["the same without an id", [message(undefined, "Hello world")], "Hello world"],
    ["more", [message("m1", "Hello world, again")], "Hello world, again"],
    ["another message as well", [message("m1", "Hello world"), message("m2", "!")], "Hello world!"],
    ["another message alone", [message("m2", "Goodbye")], "Hello world"],
    ["a text that contradicts", [message("m1", "Goodbye")], "Hello world"]
  ])("keeps what was emitted when the last event says %s", (_title, last, expected) => {
    const { answer } = accumulate(eventsOf([message("m1", "Hello ", "world")]))

    assert.strictEqual(textOf(answer.outputWith(last)), expected)
  })

  it("takes a message that the server writes twice once", () => {
    const once = eventsOf([message("m1", "Hello ", "world")])
    const isOpen = (event: object) => !("type" in event && event.type === "response.output_item.done")
    for (const events of [[...once, ...once], [...once.filter(isOpen), ...once]]) {
      const { answer, emitted } = accumulate(events)

      assert.strictEqual(emitted, "Hello world")
      assert.lengthOf(answer.outputWith([]), 1)
    }
  })

  it.each<[string, string, string, object]>([
    ["function_call", "function_call_arguments", "arguments", { name: "add", call_id: "c1" }],
    ["custom_tool_call", "custom_tool_call_input", "input", { name: "run", call_id: "c1" }],
    ["mcp_call", "mcp_call_arguments", "arguments", { name: "find" }]
  ])("puts a %s together from %s", (type, stem, field, rest) => {
    const item = { id: "i1", type, ...rest }
    const common = { item_id: "i1", output_index: 0 }
    const events = [
      { type: "response.output_item.added", output_index: 0, item: { ...item, [field]: "" } },
      { type: `response.${stem}.delta`, ...common, delta: "{\"a\":" },
      { type: `response.${stem}.delta`, ...common, delta: "1}" },
      { type: `response.${stem}.done`, ...common, [field]: "{\"a\":1}" },
      { type: "response.output_item.done", output_index: 0, item: { ...item, [field]: "{\"a\":1}" } }
    ]
    for (const length of [3, 4, 5]) {
      const { answer } = accumulate(events.slice(0, length))
      const [found] = answer.outputWith([])

      assert.deepInclude(found, { type, [field]: "{\"a\":1}", ...rest })
      assert.deepInclude(answer.outputWith([{ ...item, [field]: "{}" }])[0], { [field]: "{\"a\":1}" })
    }
  })

  it.each<[string, ReadonlyArray<readonly [string, string, string]>, ReadonlyArray<string>]>([
    ["with one item id", [["i1", "c1", "{\"a\":1}"], ["i1", "c2", "{\"a\":2}"]], ["{\"a\":1}", "{\"a\":2}"]],
    ["with one call id", [["i1", "c1", "{\"a\":1}"], ["i2", "c1", "{\"a\":2}"]], ["{\"a\":1}", "{\"a\":2}"]],
    ["that are one, written twice", [["i1", "c1", "{\"a\":1}"], ["i1", "c1", "{\"a\":1}"]], ["{\"a\":1}"]],
    ["that are one under two ids", [["i1", "c1", "{\"a\":1}"], ["i2", "c1", "{\"a\":1}"]], ["{\"a\":1}"]]
  ])("tells calls apart %s", (_title, calls, expected) => {
    const events = calls.flatMap(([id, callId, args], index) => {
      const item = { id, call_id: callId, type: "function_call", name: "add" }
      const place = { output_index: index }
      return [
        { type: "response.output_item.added", ...place, item: { ...item, arguments: "" } },
        { type: "response.function_call_arguments.delta", ...place, item_id: id, delta: args },
        { type: "response.output_item.done", ...place, item: { ...item, arguments: args } }
      ]
    })
    const { answer } = accumulate(events)

    assert.deepStrictEqual(answer.outputWith([]).map((item) => String(item.arguments)), [...expected])
  })

  it("takes a call that is started again from its beginning", () => {
    const item = { id: "i1", call_id: "c1", type: "function_call", name: "add", arguments: "" }
    const written = [
      { type: "response.output_item.added", output_index: 0, item },
      { type: "response.function_call_arguments.delta", output_index: 0, item_id: "i1", delta: "{\"a\":1}" }
    ]
    const { answer } = accumulate([...written, ...written])

    assert.deepStrictEqual(answer.outputWith([]).map(({ arguments: args }) => args), ["{\"a\":1}"])
  })

  it("emits what deltas left out as soon as an event has it", () => {
    const common = { item_id: "m1", output_index: 0, content_index: 0 }
    const events = [
      { type: "response.output_item.added", output_index: 0, item: message("m1") },
      { type: "response.output_text.delta", ...common, delta: "He" },
      { type: "response.output_text.done", ...common, text: "Hello" },
      { type: "response.content_part.done", ...common, part: { type: "output_text", text: "Hello w" } },
      { type: "response.output_item.done", output_index: 0, item: message("m1", "Hello world") },
      { type: "response.output_item.done", output_index: 1, item: refusal }
    ]

    assert.deepStrictEqual(accumulate(events).added, [
      { _tag: "Text", delta: "He" },
      { _tag: "Text", delta: "llo" },
      { _tag: "Text", delta: " w" },
      { _tag: "Text", delta: "orld" },
      { _tag: "Refusal", delta: "No" }
    ])
  })

  it("takes the last event's word for an item whose beginning a resumed stream does not have", () => {
    const common = { item_id: "m1", output_index: 0, content_index: 0 }
    const events = [
      { type: "response.output_text.delta", ...common, delta: "world" },
      { type: "response.output_text.done", ...common, text: "Hello world" }
    ]
    const { answer, emitted } = accumulate(events, true)

    assert.strictEqual(emitted, "world")
    assert.strictEqual(textOf(answer.outputWith([message("m1", "Hello world")])), "Hello world")
    assert.strictEqual(textOf(answer.outputWith([])), "world")
  })

  it("keeps the parts of a message in their order, and those of a refusal", () => {
    const events = [1, 0].map((index) => ({
      type: "response.output_text.delta",
      item_id: "m1",
      content_index: index,
      delta: `part ${index} `
    }))
    const { answer } = accumulate([...events, { ...events[0], type: "response.refusal.delta", content_index: 2 }])

    assert.deepStrictEqual(answer.outputWith([])[0]?.content, [
      { type: "output_text", text: "part 0 " },
      { type: "output_text", text: "part 1 " },
      { type: "refusal", refusal: "part 1 " }
    ])
  })

  it("opens no message for the parts of another item", () => {
    const part = { type: "reasoning_text", text: "Hm" }
    const { answer } = accumulate([
      { type: "response.output_item.added", output_index: 0, item: reasoning },
      { type: "response.content_part.done", item_id: "r1", output_index: 0, content_index: 0, part },
      { type: "response.output_item.done", output_index: 0, item: reasoning }
    ])

    assert.deepStrictEqual(answer.outputWith([]), [reasoning])
  })

  it("keeps the image of an item that the last event has without it", () => {
    const image = { id: "ig1", type: "image_generation_call", status: "completed", result: "AAEC" }
    const { answer } = accumulate(eventsOf([image]))

    assert.deepInclude(answer.outputWith([{ ...image, result: null }])[0], { result: "AAEC" })
  })

  it("survives events of any shape", () => {
    const values = [null, 0, "x", [], {}, [null, { id: 1 }], Number.NaN]
    const types = [
      "response.output_item.added",
      "response.output_item.done",
      "response.content_part.done",
      "response.output_text.delta",
      "response.output_text.done",
      "response.function_call_arguments.done",
      "response..delta",
      ""
    ]
    const answer = new ResponseAccumulator(false)
    for (const type of types) {
      for (const value of values) {
        for (const key of ["item", "item_id", "output_index", "content_index", "delta", "part", "text", "arguments"]) {
          answer.take(type, { type, output_index: 0, [key]: value })
        }
      }
    }

    assert.isArray(answer.outputWith(values))
  })

  it("takes time in proportion to the length of the stream", () => {
    const time = (count: number): number => {
      const answer = new ResponseAccumulator(false)
      const started = performance.now()
      for (let index = 0; index < count; index++) {
        answer.take("response.output_text.delta", { item_id: "m1", output_index: 0, delta: "word " })
        const item = message(`n${index}`, "")
        answer.take("response.output_item.done", { output_index: index + 1, item })
      }
      assert.lengthOf(answer.outputWith([]), count + 1)
      return performance.now() - started
    }
    time(2000)

    assert.isBelow(time(80_000), 30 * Math.max(time(8000), 5))
  })
})

interface Dialect {
  readonly hasIds: boolean
  readonly hasIndices: boolean
  readonly hasZeroIndices: boolean
  readonly hasAdded: boolean
  readonly hasDone: boolean
  readonly hasDeltas: boolean
  readonly changesIds: boolean
}

const usual: Dialect = {
  hasIds: true,
  hasIndices: true,
  hasZeroIndices: false,
  hasAdded: true,
  hasDone: true,
  hasDeltas: true,
  changesIds: false
}

interface Item {
  readonly id?: string | undefined
  readonly type: string
  readonly content?: ReadonlyArray<{ readonly type: string; readonly text: string }>
}

const message = (id: string | undefined, ...pieces: ReadonlyArray<string>) => ({
  ...(id === undefined ? {} : { id }),
  type: "message",
  role: "assistant",
  pieces,
  content: pieces.length === 0 ? [] : [{ type: "output_text", text: pieces.join("") }]
})

const reasoning = { id: "r1", type: "reasoning", summary: [] }
const search = { id: "ws1", type: "web_search_call", status: "completed" }
const refusal = { id: "m2", type: "message", role: "assistant", content: [{ type: "refusal", refusal: "No" }] }

/** The events of items in a server's dialect. */
const eventsOf = (items: ReadonlyArray<object>, own: Partial<Dialect> = {}): ReadonlyArray<object> => {
  const dialect = { ...usual, ...own }
  let changes = 0
  const idOf = (id: string | undefined) => dialect.changesIds ? `other-${++changes}` : id
  return (items as ReadonlyArray<Item & { readonly pieces?: ReadonlyArray<string> }>).flatMap((item, index) => {
    const { id, pieces = [], ...rest } = item
    const place = dialect.hasIndices ? { output_index: dialect.hasZeroIndices ? 0 : index } : {}
    const named = () => dialect.hasIds ? { id: idOf(id) } : {}
    const naming = () => dialect.hasIds ? { item_id: idOf(id) } : {}
    return [
      ...(dialect.hasAdded
        ? [{ type: "response.output_item.added", ...place, item: { ...rest, ...named(), content: [] } }]
        : []),
      ...(dialect.hasDeltas ? pieces : []).map((delta) => ({
        type: "response.output_text.delta",
        ...place,
        ...naming(),
        content_index: 0,
        delta
      })),
      ...(dialect.hasDone ? [{ type: "response.output_item.done", ...place, item: { ...rest, ...named() } }] : [])
    ]
  })
}

const accumulate = (events: ReadonlyArray<object>, isResumed = false) => {
  const answer = new ResponseAccumulator(isResumed)
  const added: ReadonlyArray<Added> = events.flatMap((event) =>
    answer.take("type" in event ? String(event.type) : "", event as Record<string, unknown>)
  )
  return { answer, added, emitted: added.map(({ delta }) => delta).join("") }
}

const textOf = (output: ReadonlyArray<unknown>): string =>
  (output as ReadonlyArray<Item>).filter(({ type }) => type === "message")
    .flatMap(({ content = [] }) => content.map(({ text }) => text)).join("")
