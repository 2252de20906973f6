import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type Provider, ProviderError, Reason, type ResponseEvent, Usage } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { begin, factsOf, request, start, withoutJitter } from "./Processes.ts"

const { accepted, ended, failed, fails, pending, succeeded } = ScriptedProvider

type StreamEvent = Provider.StreamEvent
type Verdict = ProviderError.Verdict

const paris = succeeded("Paris")
const empty: Verdict = { _tag: "NonRetryable", reason: new Reason.EmptyContent({ message: "Nothing" }) }
const notFound: Verdict = { _tag: "NonRetryable", reason: new Reason.NotFound({ message: "No such job" }) }
const denied: Verdict = { _tag: "NonRetryable", reason: new Reason.PermissionDenied({ message: "No" }) }
const invented: Verdict = {
  _tag: "Retryable",
  reason: new Reason.JobFailed({
    message: "Response payload is not completed",
    reason: new Reason.ServerError({ message: "Response payload is not completed" })
  })
}
const incomplete: Verdict = {
  _tag: "NonRetryable",
  reason: new Reason.Incomplete({ message: "Cut", content: "", limit: "max_output_tokens" })
}
const filtered: Verdict = { _tag: "NonRetryable", reason: new Reason.ContentFiltered({ message: "Filtered" }) }
const cancelled: Verdict = { _tag: "NonRetryable", reason: new Reason.JobCancelled({ message: "Cancelled" }) }

const usage = new Usage.Usage({
  inputTokens: 1,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 2,
  reasoningTokens: 0,
  totalTokens: 3
})

const job = request({ poll: Schedule.spaced("1 second") })
const held = request({ strategy: "sync" })

describe("the end of a job's stream", () => {
  it.effect.each([invented, incomplete, filtered, cancelled, empty])(
    "is polled before it is settled, and not believed while the job runs: %o",
    (verdict) =>
      Effect.gen(function*() {
        // One event of the wire may become several, of which the end is the last.
        const counted = Stream.flatMap(told(["Pa"], failed(verdict)), (event) =>
          event._tag === "Ended"
            ? Stream.make<ReadonlyArray<StreamEvent>>({ _tag: "Usage", usage, cursor: event.cursor }, event)
            : Stream.succeed(event))
        const { error, events, provider } = yield* watch({
          submitStream: [counted],
          stream: [Stream.drop(told(["Pa", "ris"], paris), 2)],
          retrieve: [pending(), pending(), ended(paris)]
        })

        assert.isUndefined(error)
        assert.deepStrictEqual(events, ["0 Pa", "2 ris", "Completed Paris"])
        assert.strictEqual(provider.calls("submitStream").length, 1)
        assert.deepStrictEqual(provider.calls("stream").map(({ after }) => after), ["1"])
      })
  )

  it.effect.each([invented, incomplete, filtered, cancelled])(
    "is settled as the poll says when that agrees, without another request: %o",
    (verdict) =>
      Effect.gen(function*() {
        const { error, provider } = yield* watch({
          submitStream: [told([], failed(verdict))],
          retrieve: [ended(failed(verdict))]
        })

        assert.strictEqual(error, verdict.reason._tag)
        assert.strictEqual(provider.calls("retrieve").length, 1)
      })
  )

  it.effect("needs no poll when it is an answer that agrees with the stream", () =>
    Effect.gen(function*() {
      const { events, provider } = yield* watch({ submitStream: [told(["Pa"], paris)], retrieve: [] })

      assert.deepStrictEqual(events, ["0 Pa", "2 ris", "Completed Paris"])
      assert.deepStrictEqual(provider.calls("retrieve"), [])
    }))

  it.effect("is polled on when the poll fails, and when the job is not found for less than a minute", () =>
    Effect.gen(function*() {
      const { events, provider } = yield* watch({
        submitStream: [told([], failed(invented))],
        retrieve: [fails(), fails(notFound, "Refused"), ended(paris)]
      })

      assert.deepStrictEqual(events, ["0 Paris", "Completed Paris"])
      assert.strictEqual(provider.calls("retrieve").length, 3)
    }))

  it.effect("stands when no poll finds the job any more", () =>
    Effect.gen(function*() {
      const { error } = yield* watch({
        submitStream: [told([], failed(filtered))],
        retrieve: [fails(notFound, "Refused")]
      })

      assert.strictEqual(error, "ContentFiltered")
    }))

  it.effect("stands at once at a server that made a held call of the job and does not know it", () =>
    Effect.gen(function*() {
      const { error, provider } = yield* watch({
        submitStream: [told([], { ...failed(incomplete), ignoredBackground: true })],
        retrieve: [fails(notFound, "Refused")]
      })

      assert.strictEqual(error, "Incomplete")
      assert.strictEqual(provider.calls("retrieve").length, 1)
    }))

  it.effect("keeps the pace of the polls when the stream is wrong again and again", () =>
    Effect.gen(function*() {
      const wrong = Stream.make<[StreamEvent]>({ _tag: "Ended", outcome: failed(invented) })
      const provider = yield* ScriptedProvider.make({
        submitStream: [told(["Pa"], failed(invented))],
        stream: [wrong],
        retrieve: [pending()]
      })
      const process = yield* start(provider)
      const fiber = yield* begin(Stream.runDrain(process.stream(job)))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.interrupt(fiber)

      assert.isAtMost(provider.calls("retrieve").length, 22)
      assert.isAtMost(provider.calls("stream").length, 11)
    }))

  it.effect("is polled when its last event left out what the stream emitted", () =>
    Effect.gen(function*() {
      const { events, provider } = yield* watch({
        submitStream: [told(["Paris"], paris, true)],
        retrieve: [ended(paris)]
      })

      assert.deepStrictEqual(events, ["0 Paris", "Completed Paris"])
      assert.strictEqual(provider.calls("retrieve").length, 1)
    }))

  it.effect("is what the stream emitted when polls find the job without content", () =>
    Effect.gen(function*() {
      const { events, process } = yield* watch({
        submitStream: [told(["Paris"], paris, true)],
        retrieve: [ended(failed(empty))]
      })
      const again = yield* process.execute(job)

      assert.deepStrictEqual(events, ["0 Paris", "Completed Paris"])
      assert.strictEqual(again.content, "Paris")
    }))

  it.effect("is the whole text when a resumed stream has only its tail and the last event nothing", () =>
    Effect.gen(function*() {
      const { events } = yield* watch({
        submitStream: [Stream.take(told(["Pa", "ris"], paris), 2)],
        stream: [Stream.drop(told(["Pa", "ris"], succeeded("ris"), true), 2)],
        retrieve: [pending(), ended(failed(empty))]
      })

      assert.deepStrictEqual(events, ["0 Pa", "2 ris", "Completed Paris"])
    }))

  it.effect.each([notFound, denied])(
    "is the answer that the stream emitted when polls are refused: %o",
    (verdict) =>
      Effect.gen(function*() {
        const { events, provider } = yield* watch({
          submitStream: [told(["Paris"], paris, true)],
          retrieve: [fails(), fails(verdict, "Refused")]
        })

        assert.deepStrictEqual(events, ["0 Paris", "Completed Paris"])
        assert.strictEqual(provider.calls("retrieve").length, 2)
      })
  )

  it.effect("leaves an answer of which the journal keeps the id to the provider", () =>
    Effect.gen(function*() {
      const { events, process, provider } = yield* watch({
        submitStream: [told(["Paris"], paris, true)],
        retrieve: [ended(paris)]
      }, { ...job, journal: "ids-only" })
      const again = yield* process.execute({ ...job, journal: "ids-only" })

      assert.deepStrictEqual(events, ["0 Paris", "Completed Paris"])
      assert.strictEqual(again.content, "Paris")
      assert.strictEqual(provider.calls("retrieve").length, 2)
    }))

  it.effect("emits each call once, whether streams or polls say it", () =>
    Effect.gen(function*() {
      const call = { id: "call_1", name: "add", arguments: "{}" }
      const other = { ...call, id: "call_2" }
      const outcome: Provider.Outcome = {
        ...succeeded("", { finishReason: "tool-calls" }),
        toolCalls: [call, other]
      } as Provider.Outcome
      const begins = Stream.make<ReadonlyArray<StreamEvent>>(
        { _tag: "Started", responseId: "job-1", cursor: "0" },
        { _tag: "ToolCall", ...call, cursor: "1" }
      )
      const end: ReadonlyArray<StreamEvent> = [
        { _tag: "ToolCall", ...call },
        { _tag: "ToolCall", ...other },
        { _tag: "Ended", outcome }
      ]
      const resumed = yield* watch({
        submitStream: [begins],
        stream: [Stream.fromIterable(end)],
        retrieve: [pending()]
      })
      const polled = yield* watch({ submitStream: [begins], retrieve: [pending(), ended(outcome)] })
      const unstreamed = yield* watch({ submit: [accepted("job-1")], retrieve: [ended(outcome)] })

      const expected = ["ToolCall call_1", "ToolCall call_2", "Completed "]
      assert.deepStrictEqual([resumed.events, polled.events, unstreamed.events], [expected, expected, expected])
    }))
})

describe("a job that a poll finds completed without content", () => {
  it.effect.each<[string, ScriptedProvider.Script]>([
    ["a poll", { submit: [accepted("job-1")], retrieve: [ended(failed(empty)), ended(paris)] }],
    ["the submission", {
      submit: [accepted("job-1", { _tag: "Ended", outcome: failed(empty) })],
      retrieve: [ended(paris)]
    }],
    ["a poll, before another one fails", {
      submit: [accepted("job-1")],
      retrieve: [ended(failed(empty)), fails(), ended(paris)]
    }]
  ])("is polled once more, after the usual delay: %s", ([_title, script]) =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make(script)
      const process = yield* start(provider)
      const fiber = yield* begin(process.execute(job))
      yield* TestClock.adjust("10 seconds")
      const answer = yield* Fiber.join(fiber)

      assert.strictEqual(answer.content, "Paris")
      const [first = 0, second = first + 1000] = provider.calls("retrieve").map(({ at }) => at)
      assert.isAtLeast(second - first, 1000)
    }).pipe(withoutJitter))

  it.effect("is settled so when it stays so", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")], retrieve: [ended(failed(empty))] })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(job)))
      yield* TestClock.adjust("10 seconds")

      assert.strictEqual(factsOf(yield* Fiber.join(fiber)).reason, "EmptyContent")
      assert.strictEqual(provider.calls("retrieve").length, 2)
    }))

  it.effect("is settled so at once when the schedule has no poll left", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [accepted("job-1", { _tag: "Ended", outcome: failed(empty) })],
        retrieve: [ended(failed(empty))]
      })
      const process = yield* start(provider)
      const error = yield* Effect.flip(process.execute({ ...job, poll: Schedule.recurs(0) }))

      assert.strictEqual(factsOf(error).reason, "EmptyContent")
      assert.deepStrictEqual(provider.calls("retrieve"), [])
    }))
})

describe("the end of a held call's stream", () => {
  it.effect.each<[string, ReadonlyArray<string>, Provider.Outcome, string]>([
    ["says less", ["Par", "is"], succeeded("Par"), "Paris"],
    ["says nothing", ["Par", "is"], failed(empty), "Paris"],
    ["says more", ["Par"], paris, "Paris"],
    ["contradicts it", ["Lon", "don"], paris, "London"]
  ])("settles what was emitted when it %s", ([_title, deltas, outcome, expected]) =>
    Effect.gen(function*() {
      const { events, process, provider } = yield* watch({ createStream: [told(deltas, outcome)] }, held)
      const again = yield* process.execute(held)

      assert.strictEqual(events.at(-1), `Completed ${expected}`)
      assert.strictEqual(events.map((event) => /^\d+ (.*)/.exec(event)?.[1] ?? "").join(""), expected)
      assert.strictEqual(again.content, expected)
      assert.strictEqual(provider.calls("createStream").length, 1)
    }))
})

/** Watches a request to its end, for two minutes at most. */
const watch = Effect.fnUntraced(function*(script: ScriptedProvider.Script, asked = job) {
  const provider = yield* ScriptedProvider.make(
    asked.strategy === "sync" || script.submit !== undefined ? script : { submit: [], ...script }
  )
  const process = yield* start(provider)
  const seen: Array<ResponseEvent.ResponseEvent> = []
  const fiber = yield* begin(
    Effect.result(Stream.runForEach(process.stream(asked), (event) => Effect.sync(() => seen.push(event))))
  )
  yield* TestClock.adjust("2 minutes")
  const result = yield* Fiber.join(fiber)
  const events = seen.flatMap((event): ReadonlyArray<string> => {
    switch (event._tag) {
      case "TextDelta":
        return [`${event.offset} ${event.delta}`]
      case "ToolCall":
        return [`ToolCall ${event.id}`]
      case "Completed":
        return [`Completed ${event.response.content}`]
      default:
        return []
    }
  })
  return { events, error: result._tag === "Failure" ? factsOf(result.failure).reason : undefined, process, provider }
})

/** A stream of an answer in pieces; the cursor counts the events from 0. */
const told = (
  pieces: ReadonlyArray<string>,
  outcome: Provider.Outcome,
  isDisputed = false
): Stream.Stream<StreamEvent, ProviderError.ProviderError> => {
  const events: ReadonlyArray<StreamEvent> = [
    { _tag: "Started", responseId: "job-1" },
    ...pieces.map((delta): StreamEvent => ({ _tag: "Text", delta })),
    { _tag: "Ended", outcome, ...(isDisputed ? { isDisputed } : {}) }
  ]
  return Stream.rechunk(Stream.fromIterable(events.map((event, index) => ({ ...event, cursor: String(index) }))), 1)
}
