import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ProviderError } from "../../../../src/errors/ProviderError.ts"
import { ServerError } from "../../../../src/errors/Reason.ts"
import type { StreamEvent } from "../../../../src/services/Provider.ts"
import * as EventStream from "../../../../src/services/providers/internal/EventStream.ts"
import type * as ProtocolReader from "../../../../src/services/providers/internal/ProtocolReader.ts"
import { collect, read, textOf } from "../StreamReading.ts"

describe("EventStream", () => {
  it.effect("emits what came before a failure, and reads no further", () =>
    Effect.gen(function*() {
      const source = body(["data: a\n\ndata: b\n\ndata: fail\n\ndata: c\n\n", "data: d\n\n"])
      const { error, events } = yield* collect(open(source))

      assert.strictEqual(textOf(events), "ab")
      assert.strictEqual(error?.verdict.reason._tag, "ServerError")
      assert.strictEqual(source.cancelled, 1)
    }))

  it.effect("emits the events of one chunk together", () =>
    Effect.gen(function*() {
      const chunks = yield* open(body(["data: a\n\ndata: b\n\nda", "ta: c\n\n"])).pipe(
        Stream.chunks,
        Stream.map((chunk) => textOf(chunk)),
        Stream.runCollect
      )

      assert.deepStrictEqual(chunks, ["ab", "c"])
    }))

  it.effect("ends without a failure when the body ends early, and when it holds an end", () =>
    Effect.gen(function*() {
      const cut = yield* collect(open(body(["data: a\n\n", "data: {\"b"])))
      const ended = yield* collect(open(body(["data: a\n\ndata: over\n\ndata: b\n\n"])))

      assert.deepStrictEqual([textOf(cut.events), cut.error], ["a", undefined])
      assert.deepStrictEqual([textOf(ended.events), ended.error], ["a", undefined])
    }))

  it.effect.each(["", "\n", "\r\n"])("takes a last event without its blank line: %j", (end) =>
    Effect.gen(function*() {
      for (const last of [[], ["reset"]]) {
        const { events } = yield* collect(open(body(["data: a\n\n", `data: {"b":1}${end}`, ...last])))

        assert.strictEqual(textOf(events), "a{\"b\":1}")
      }
    }))

  it.effect("is no failure when the body breaks off after the protocol's end", () =>
    Effect.gen(function*() {
      const reader = () => ({
        ...echo(),
        finish: (out: Array<StreamEvent>) => (out.push(text("end")), "Over" as const)
      })
      const streamed = yield* collect(open(body(["data: a\n\n", "reset"]), reader))
      const whole = yield* collect(open(body(["{\"a\":", "1}", "reset"])))
      const part = yield* collect(open(body(["{\"a\":", "reset"])))

      assert.deepStrictEqual([textOf(streamed.events), streamed.error], ["aend", undefined])
      assert.deepStrictEqual([textOf(whole.events), whole.error], ["{\"a\":1}", undefined])
      assert.deepStrictEqual([textOf(part.events), part.error?.verdict.reason._tag], ["", "Network"])
    }))

  it.effect("reads the rest after the end, so that the connection can be used again", () =>
    Effect.gen(function*() {
      const source = body(["data: over\n\n", ": rest", ": rest"])
      yield* collect(open(source))
      yield* TestClock.withLive(Effect.sleep("5 millis"))

      assert.deepStrictEqual([source.pulled, source.isClosed], [4, true])
    }))

  it.effect("cancels the body of a stream that is left early or interrupted", () =>
    Effect.gen(function*() {
      const left = body(["data: a\n\n", "data: b\n\n"])
      yield* Stream.runDrain(Stream.take(open(left), 1))
      const waiting = body(["data: a\n\n", "wait"])
      const fiber = yield* Effect.forkChild(Stream.runDrain(open(waiting)), { startImmediately: true })
      yield* TestClock.withLive(Effect.sleep("5 millis"))
      yield* Fiber.interrupt(fiber)

      assert.strictEqual(left.cancelled, 1)
      assert.strictEqual(waiting.cancelled, 1)
    }))

  it.effect("cancels a body that was never read", () =>
    Effect.gen(function*() {
      const source = body(["data: a\n\n"])
      yield* Effect.scoped(EventStream.acquire(Effect.succeed(new Response(source.stream))))

      assert.deepStrictEqual([source.cancelled, source.pulled], [1, 0])
    }))

  it.effect("reads nothing that nobody asks for", () =>
    Effect.gen(function*() {
      const source = body(Array.from({ length: 20 }, () => "data: a\n\n"))
      yield* Stream.runForEach(Stream.take(open(source), 3), () => TestClock.withLive(Effect.sleep("1 millis")))

      assert.isAtMost(source.pulled, 4)
    }))

  it.effect("fails with Network, Uncertain, when the body breaks off", () =>
    Effect.gen(function*() {
      const { error, events } = yield* collect(open(body(["data: a\n\n", "reset"])))

      assert.strictEqual(textOf(events), "a")
      assert.strictEqual(error?.verdict.reason._tag, "Network")
      assert.strictEqual(error?.evidence, "Uncertain")
    }))

  it.effect("takes what a reader throws for an answer that cannot be read", () =>
    Effect.gen(function*() {
      const { error } = yield* collect(open(body(["data: throw\n\n"])))

      assert.strictEqual(error?.verdict.reason._tag, "InvalidResponse")
    }))

  it.effect.each(["data: quiet\n\n", ": comment\n\n", "\n", " ", "data: {\"half", "{\"half"])(
    "emits Alive for bytes of which nothing else is emitted, ten times a second at most: %j",
    (piece) =>
      Effect.gen(function*() {
        const source = body(Array.from({ length: 12 }, () => "tick"), piece)
        const fiber = yield* Effect.forkChild(
          Stream.runFold(open(source), () => 0, (count, { _tag }) => _tag === "Alive" ? count + 1 : count),
          { startImmediately: true }
        )
        for (let tick = 0; tick < 12; tick++) {
          yield* TestClock.withLive(Effect.sleep("2 millis"))
          yield* TestClock.adjust("25 millis")
          source.tick()
        }

        assert.strictEqual(EventStream.aliveInterval.toString(), "100 millis")
        assert.strictEqual(yield* Fiber.join(fiber), 3)
      })
  )

  it.effect("hands a body without events over as a whole", () =>
    Effect.gen(function*() {
      const wholes: Array<unknown> = []
      const reader = (): ProtocolReader.Reader => ({ ...echo(), whole: ({ body }) => (wholes.push(body), "Over") })
      for (const text of ["{\"a\":\n\n1}", "<html>", "", ": comment\n\n"]) yield* read(reader, text, { size: 3 })

      assert.deepStrictEqual(wholes, [{ a: 1 }, "<html>", "", ": comment\n\n"])
    }))
})

/** Emits the data of events as text; some words are orders. */
const echo = (now = () => 0): ProtocolReader.Reader => ({
  take: ({ data }, out) => {
    now()
    if (data === "fail") return failure
    if (data === "throw") throw new TypeError("x is not iterable")
    if (data === "over") return "Over"
    if (data !== "quiet") out.push({ _tag: "Text", delta: data })
    return "More"
  },
  finish: () => "More",
  whole: ({ body }, out) => (out.push(text(JSON.stringify(body))), "Over")
})

const text = (delta: string): StreamEvent => ({ _tag: "Text", delta })

const failure = new ProviderError({
  verdict: { _tag: "Retryable", reason: new ServerError({ message: "no" }) },
  evidence: "Uncertain"
})

const open = (source: { readonly stream: ReadableStream<Uint8Array<ArrayBuffer>> }, makeReader = () => echo()) =>
  EventStream.make(
    Effect.gen(function*() {
      const now = yield* Effect.clockWith((clock) => Effect.succeed(() => clock.currentTimeMillisUnsafe()))
      const response = yield* EventStream.acquire(Effect.sync(() => new Response(source.stream)))
      return { response, contextNow: () => ({ provider: "p", operation: "call" as const, now: now() }) }
    }),
    makeReader
  )

/** A body of pieces; `wait` never comes, `tick` comes as `quiet` with `tick()`, `reset` breaks it off. */
const body = (pieces: ReadonlyArray<string>, quiet = "data: quiet\n\n") => {
  let onTick = () => {}
  const state = { pulled: 0, cancelled: 0, isClosed: false, tick: () => onTick() }
  const pull = (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> | undefined => {
    const piece = pieces[state.pulled++]
    const enqueue = (text: string) => controller.enqueue(new Uint8Array(Buffer.from(text)))
    switch (piece) {
      case undefined:
        state.isClosed = true
        controller.close()
        return undefined
      case "wait":
        return new Promise(() => {})
      case "reset":
        controller.error(new TypeError("terminated", { cause: Object.assign(new Error(), { code: "ECONNRESET" }) }))
        return undefined
      case "tick":
        return new Promise((resolve) => {
          onTick = () => {
            enqueue(quiet)
            resolve()
          }
        })
    }
    enqueue(piece)
    return undefined
  }
  const cancel = () => {
    state.cancelled++
  }
  return Object.assign(state, { stream: new ReadableStream({ pull, cancel }, { highWaterMark: 0 }) })
}
