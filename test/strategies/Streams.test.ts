import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Provider, ProviderError, Reason, type ResponseEvent, Usage } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { begin, factsOf, makeFaultyStore, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import { overloaded, serverError } from "./Verdicts.ts"

const { accepted, ended, failed, fails, pending, refuses, succeeded } = ScriptedProvider

type StreamEvent = Provider.StreamEvent
type Event = ResponseEvent.ResponseEvent

const answer = succeeded("Paris, of course.")
const job = request({ poll: Schedule.spaced("1 second") })
const held = request({ strategy: "sync" })

describe("stream", () => {
  describe("of a background job", () => {
    it.effect("tells the answer as it grows, once the job's id is in the journal", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submitStream: [told("Paris", ", of", " course.")], submit: [] })
        const process = yield* start(provider)
        const tags: Array<ReadonlyArray<string>> = []
        const events = yield* process.stream(job).pipe(
          Stream.tap(() => Effect.map(tagsOf(process.store), (now) => tags.push(now))),
          Stream.runCollect
        )

        assert.deepStrictEqual(events.map(brief), ["Started job-1", "0 Paris", "5 , of", "9  course.", "Completed"])
        assert.deepStrictEqual(tags[0]?.slice(0, 3), ["Prepared", "Submitting", "Accepted"])
        assert.isTrue(events.every(({ replayed }) => !replayed))
        assert.deepInclude(completed(events), { content: "Paris, of course.", attempts: 1, polls: 0, settled: true })
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted", "Settled"])
      }))

    it.effect("tells its beginning too when the journal takes longer than the stream may be silent", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submitStream: [told("Paris", ", of", " course.")],
          stream: [Stream.drop(told("Paris", ", of", " course."), 1)],
          submit: []
        })
        const faulty = yield* makeFaultyStore
        faulty.before = (entry) => entry._tag === "Accepted" ? Effect.sleep("20 seconds") : Effect.void
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(
          Stream.runCollect(process.stream({ ...job, streamTimeouts: { firstEvent: "5 seconds", idle: "5 seconds" } }))
        )
        yield* TestClock.adjust("1 minute")
        const events = yield* Fiber.join(fiber)

        assert.deepStrictEqual(events.map(brief), ["Started job-1", "0 Paris", "5 , of", "9  course.", "Completed"])
        assert.deepStrictEqual(provider.calls("stream"), [])
      }))

    it.effect("goes on after the last event it saw when the stream is cut", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submitStream: [cut(told("Paris", ", of", " course."), 2)],
          stream: [
            cut(told("Paris", ", of", " course."), 3, 1),
            Stream.drop(told("Paris", ", of", " course."), 3)
          ],
          retrieve: [pending()]
        })
        const process = yield* start(provider)
        const events = yield* Stream.runCollect(process.stream(job))

        assert.deepStrictEqual(
          events.map(brief),
          [
            "Started job-1",
            "0 Paris",
            "5 , of",
            "9  course.",
            "Completed"
          ]
        )
        assert.deepStrictEqual(provider.calls("stream").map(({ after }) => after), ["1", "2"])
        assert.strictEqual(provider.calls("submitStream").length, 1)
      }))

    it.effect("drops what a server tells again although it was given a cursor", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submitStream: [cut(told("Paris", ", of", " course."), 3)],
          stream: [told("Paris", ", of", " course.")],
          retrieve: [pending()]
        })
        const process = yield* start(provider)
        const events = yield* Stream.runCollect(process.stream(job))

        assert.strictEqual(textOf(events), "Paris, of course.")
      }))

    it.effect("drops it also where the cursor holds more than the event's place", () =>
      Effect.gen(function*() {
        const noted = Stream.map(
          told("Paris", ", of", " course."),
          (event): StreamEvent => ({ ...event, cursor: `${event.cursor} 0 1` })
        )
        const provider = yield* ScriptedProvider.make({
          submitStream: [cut(noted, 3)],
          stream: [noted],
          retrieve: [pending()]
        })
        const process = yield* start(provider)
        const events = yield* Stream.runCollect(process.stream(job))

        assert.strictEqual(textOf(events), "Paris, of course.")
        assert.deepStrictEqual(provider.calls("stream").map(({ after }) => after), ["2 0 1"])
      }))

    it.effect("polls for the rest of a stream that cannot go on where it was cut, and repeats nothing", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submitStream: [withoutCursors(cut(told("Paris", ", of", " course."), 3))],
          stream: [withoutCursors(told("Paris", ", of", " course."))],
          retrieve: [pending(), pending(), ended(answer)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runCollect(process.stream(job)))
        yield* TestClock.adjust("5 seconds")
        const events = yield* Fiber.join(fiber)

        assert.deepStrictEqual(
          events.map(brief),
          ["Started job-1", "0 Paris", "5 , of", "9  course.", "Completed"]
        )
        assert.strictEqual(provider.calls("stream").length, 0)
      }))

    it.effect("keeps to the pace of the polls when a server answers a stream with the job's status", () =>
      Effect.gen(function*() {
        const status: StreamEvent = { _tag: "Status", status: "in_progress", phase: "running" }
        const provider = yield* ScriptedProvider.make({
          submitStream: [cut(told("Paris", ", of", " course."), 2)],
          stream: [Stream.make(status)],
          retrieve: [pending()]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runDrain(process.stream(job)))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.interrupt(fiber)

        assert.isAtMost(provider.calls("retrieve").length, 7)
        assert.isAtMost(provider.calls("stream").length, 6)
      }))

    it.effect("reads one stream at a time, also of a job that was cancelled in the queue and runs all the same", () =>
      Effect.gen(function*() {
        const late = Stream.concat(
          Stream.make<[StreamEvent]>({ _tag: "Started", responseId: "job-1", cursor: "0" }),
          Stream.drop(told("Paris", ", of", " course."), 1).pipe(
            Stream.mapEffect((event) => Effect.delay(Effect.succeed(event), "10 seconds"))
          )
        )
        const provider = yield* ScriptedProvider.make({
          submitStream: [late],
          stream: [Stream.drop(late, 1)],
          retrieve: [pending({ phase: "queued" })],
          cancel: [pending()]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runCollect(process.stream({
          ...job,
          queuedDeadline: "5 seconds",
          fallback: ["test/second"],
          fallbackOn: ["Queued"]
        })))
        yield* TestClock.adjust("2 minutes")

        assert.strictEqual(textOf(yield* Fiber.join(fiber)), "Paris, of course.")
        assert.strictEqual(provider.calls("cancel").length, 1)
        assert.strictEqual(provider.calls("stream").length, 0)
      }))

    it.effect("reopens the stream at its beginning in another process, and says that it tells again", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submitStream: [Stream.concat(Stream.take(told("Paris", ", of", " course."), 2), Stream.never)],
          stream: [
            Stream.concat(
              Stream.take(told("Paris", ", of", " course."), 3),
              Stream.drop(told("Paris", ", of", " course."), 3).pipe(
                Stream.mapEffect((event) => Effect.delay(Effect.succeed(event), "300 millis"))
              )
            )
          ],
          retrieve: [pending()]
        })
        const first = yield* start(provider)
        const watching = yield* begin(Stream.runCollect(Stream.take(first.stream(job), 2)))
        const before = yield* Fiber.join(watching)
        const closing = yield* begin(first.close)
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(closing)
        const second = yield* start(provider, first.store)
        const fiber = yield* begin(Stream.runCollect(second.stream(job)))
        yield* TestClock.adjust("10 seconds")
        const events = yield* Fiber.join(fiber)

        assert.strictEqual(textOf(before), "Paris")
        assert.deepStrictEqual(
          events.map((event) => `${brief(event)}${event.replayed ? " again" : ""}`),
          [
            "Started job-1 again",
            "Status in_progress",
            "0 Paris again",
            "5 , of again",
            "9  course.",
            "Completed again"
          ]
        )
        assert.deepStrictEqual(provider.calls("stream").map(({ after }) => after), [undefined])
        assert.strictEqual(provider.calls("submitStream").length, 1)
      }))

    it.effect("does not say of the next model's answer that it tells again", () =>
      Effect.gen(function*() {
        const filtered: ProviderError.Verdict = {
          _tag: "NonRetryable",
          reason: new Reason.ContentFiltered({ message: "Filtered" })
        }
        const provider = yield* ScriptedProvider.make({
          submitStream: [
            Stream.concat(Stream.take(told("Paris"), 1), Stream.never),
            told("Paris", ", of", " course.")
          ],
          stream: [Stream.concat(
            Stream.take(told("Paris"), 1),
            Stream.make<[StreamEvent]>({ _tag: "Ended", outcome: failed(filtered) })
          )],
          retrieve: [pending(), ended(failed(filtered))]
        })
        const asked = { ...job, fallback: ["test/second"] }
        const first = yield* start(provider)
        yield* Stream.runDrain(Stream.take(first.stream(asked), 1))
        const closing = yield* begin(first.close)
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(closing)
        const second = yield* start(provider, first.store)
        const fiber = yield* begin(Stream.runCollect(second.stream(asked)))
        yield* TestClock.adjust("10 seconds")
        const events = yield* Fiber.join(fiber)

        assert.strictEqual(textOf(events), "Paris, of course.")
        assert.isTrue(events.every((event) => event._tag !== "TextDelta" || !event.replayed))
      }))

    it.effect("polls and tells what is missing when the stream is refused", () =>
      Effect.gen(function*() {
        const gone: ProviderError.Verdict = {
          _tag: "NonRetryable",
          reason: new Reason.InvalidRequest({ message: "The stream is closed", status: 400 })
        }
        const provider = yield* ScriptedProvider.make({
          submitStream: [cut(told("Paris", ", of", " course."), 2)],
          stream: [Stream.fail(new ProviderError.ProviderError({ verdict: gone, evidence: "Refused" }))],
          retrieve: [pending(), pending(), ended(answer)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runCollect(process.stream(job)))
        yield* TestClock.adjust("5 seconds")
        const events = yield* Fiber.join(fiber)

        assert.deepStrictEqual(events.map(brief), ["Started job-1", "0 Paris", "5 , of course.", "Completed"])
        assert.strictEqual(provider.calls("stream").length, 1)
      }))

    it.effect("reopens a stream that is silent, and does not touch the job", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submitStream: [Stream.concat(Stream.take(told("Paris", ", of", " course."), 2), Stream.never)],
          stream: [Stream.drop(told("Paris", ", of", " course."), 2)],
          retrieve: [pending()],
          cancel: [pending()]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runCollect(process.stream(job)))
        yield* TestClock.adjust("59 seconds")
        const before = provider.calls("stream").length
        yield* TestClock.adjust("1 second")

        assert.strictEqual(textOf(yield* Fiber.join(fiber)), "Paris, of course.")
        assert.strictEqual(before, 0)
        assert.strictEqual(provider.calls("cancel").length, 0)
      }))

    it.effect("says so when the answer is not the one that was streamed, and gives it to the next call", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submitStream: [Stream.concat(
            Stream.take(told("London"), 2),
            Stream.make<[StreamEvent]>({ _tag: "Ended", outcome: answer })
          )],
          retrieve: [ended(answer)]
        })
        const process = yield* start(provider)
        const error = yield* Effect.flip(Stream.runCollect(process.stream(job)))
        const again = yield* Stream.runCollect(process.stream(job))

        assert.deepStrictEqual(factsOf(error), {
          _tag: "Retryable",
          reason: "StreamInterrupted",
          attempts: 1,
          session: "s"
        })
        assert.deepStrictEqual(again.map(brief), ["0 Paris, of course.", "Completed"])
        assert.isTrue(again.every(({ replayed }) => replayed))
      }))

    it.effect("shows two watchers the same text, whenever they come", () =>
      Effect.gen(function*() {
        const slow = told("Paris", ", of", " course.").pipe(
          Stream.mapEffect((event) => Effect.delay(Effect.succeed(event), "1 second"))
        )
        const provider = yield* ScriptedProvider.make({ submitStream: [slow], submit: [] })
        const process = yield* start(provider)
        const first = yield* begin(Stream.runCollect(process.stream(job)))
        yield* TestClock.adjust("3 seconds")
        const second = yield* begin(Stream.runCollect(process.stream(job)))
        const third = yield* begin(process.execute(job))
        yield* TestClock.adjust("3 seconds")
        const events = yield* Fiber.join(second)

        assert.strictEqual(textOf(yield* Fiber.join(first)), "Paris, of course.")
        assert.strictEqual(textOf(events), "Paris, of course.")
        assert.deepStrictEqual(
          events.flatMap((event) => event._tag === "TextDelta" ? [event.replayed] : []),
          [true, true, false]
        )
        assert.strictEqual((yield* Fiber.join(third)).content, "Paris, of course.")
        assert.strictEqual(provider.calls("submitStream").length, 1)
      }))

    it.effect("detaches from the job of a session when its watcher leaves, and cancels one without a session", () =>
      Effect.gen(function*() {
        const endless = Stream.concat(Stream.take(told("Paris"), 2), Stream.never)
        const provider = yield* ScriptedProvider.make({
          submitStream: [endless],
          submit: [],
          cancel: [pending()]
        })
        const process = yield* start(provider)
        yield* Stream.runDrain(Stream.take(process.stream(job), 2))
        yield* TestClock.adjust("10 seconds")
        const detached = provider.calls("cancel").length
        yield* Stream.runDrain(Stream.take(process.stream({ ...job, session: undefined }), 2))
        yield* TestClock.adjust("10 seconds")

        assert.strictEqual(detached, 0)
        assert.strictEqual(provider.calls("cancel").length, 1)
      }))

    it.effect("keeps the connection that created a job for two seconds, whoever leaves", () =>
      Effect.gen(function*() {
        let closed = -1
        const endless = Stream.concat(Stream.take(told("Paris"), 2), Stream.never).pipe(
          Stream.ensuring(Effect.clockWith((clock) =>
            Effect.sync(() => {
              closed = clock.currentTimeMillisUnsafe()
            })
          ))
        )
        const provider = yield* ScriptedProvider.make({ submitStream: [endless], submit: [] })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runDrain(process.stream(job)))
        yield* settleDown
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("1999 millis")
        const before = closed
        yield* TestClock.adjust("1 millis")

        assert.strictEqual(before, -1)
        assert.strictEqual(closed, 2000)
      }))

    it.effect("keeps the connection that created a job for two seconds, though its watcher left before", () =>
      Effect.gen(function*() {
        let closed = -1
        const endless = Stream.concat(
          Stream.fromEffect(Effect.delay(Effect.succeed<StreamEvent>({ _tag: "Started", responseId: "job-1" }), 1000)),
          Stream.never
        ).pipe(
          Stream.ensuring(Effect.clockWith((clock) =>
            Effect.sync(() => {
              closed = clock.currentTimeMillisUnsafe()
            })
          ))
        )
        const provider = yield* ScriptedProvider.make({ submitStream: [endless], submit: [] })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runDrain(process.stream(job)))
        yield* settleDown
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("1 second")
        const tags = yield* tagsOf(process.store)
        yield* TestClock.adjust("1999 millis")
        const before = closed
        yield* TestClock.adjust("1 millis")

        assert.deepStrictEqual(tags, ["Prepared", "Submitting", "Accepted"])
        assert.strictEqual(before, -1)
        assert.strictEqual(closed, 3000)
      }))

    it.effect("keeps the connection that created a job for two seconds, though its process ends", () =>
      Effect.gen(function*() {
        for (const isCancelled of [false, true]) {
          let closed = -1
          const at = yield* Clock.currentTimeMillis
          const endless = Stream.concat(Stream.take(told("Paris"), 2), Stream.never).pipe(
            Stream.ensuring(Effect.clockWith((clock) =>
              Effect.sync(() => {
                closed = clock.currentTimeMillisUnsafe() - at
              })
            ))
          )
          const provider = yield* ScriptedProvider.make({ submitStream: [endless], submit: [], cancel: [pending()] })
          const process = yield* start(provider)
          yield* begin(
            Effect.exit(Stream.runDrain(process.stream({ ...job, onInterrupt: isCancelled ? "cancel" : "detach" })))
          )
          yield* settleDown
          const closing = yield* begin(process.close)
          yield* TestClock.adjust("1999 millis")
          const before = [closed, closing.pollUnsafe()]
          yield* TestClock.adjust("1 millis")
          yield* Fiber.join(closing)

          assert.deepStrictEqual(before, [-1, undefined])
          assert.strictEqual(closed, 2000)
          assert.strictEqual(provider.calls("cancel").length, isCancelled ? 1 : 0)
        }
      }))

    it.effect("keeps the connection that created a job for two seconds, however impatient the request is", () =>
      Effect.gen(function*() {
        let closed = -1
        const silent = Stream.concat(Stream.take(told("Paris"), 1), Stream.never).pipe(
          Stream.ensuring(Effect.clockWith((clock) =>
            Effect.sync(() => {
              closed = clock.currentTimeMillisUnsafe()
            })
          ))
        )
        const provider = yield* ScriptedProvider.make({
          submitStream: [silent],
          stream: [Stream.drop(told("Paris"), 1)],
          retrieve: [pending()]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(
          Stream.runCollect(process.stream({ ...job, streamTimeouts: { idle: "100 millis" } }))
        )
        yield* TestClock.adjust("1999 millis")
        const before = closed
        yield* TestClock.adjust("1 second")

        assert.strictEqual(before, -1)
        assert.strictEqual(closed, 2000)
        assert.strictEqual(textOf(yield* Fiber.join(fiber)), "Paris")
      }))

    it.effect("ends at once when the job is cancelled, though its stream stays open", () =>
      Effect.gen(function*() {
        const stopped: ProviderError.Verdict = {
          _tag: "NonRetryable",
          reason: new Reason.JobCancelled({ message: "Cancelled" })
        }
        const provider = yield* ScriptedProvider.make({
          submitStream: [Stream.concat(Stream.take(told("Paris"), 2), Stream.never)],
          retrieve: [ended(failed(stopped))],
          cancel: [ended(failed(stopped))]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(Stream.runDrain(process.stream(job))))
        yield* TestClock.adjust("5 seconds")
        yield* process.cancel("s")
        yield* settleDown
        const error = fiber.pollUnsafe()

        assert.isDefined(error)
        assert.deepInclude(factsOf(yield* Fiber.join(fiber)), { _tag: "NonRetryable", reason: "JobCancelled" })
      }))

    it.effect("ends in phase queued when nobody begins to work on the job", () =>
      Effect.gen(function*() {
        const queue = Stream.concat(
          Stream.make<Array<StreamEvent>>(
            { _tag: "Started", responseId: "job-1" },
            { _tag: "Status", status: "queued", phase: "queued" }
          ),
          Stream.never
        )
        const provider = yield* ScriptedProvider.make({
          submitStream: [queue],
          stream: [queue],
          retrieve: [pending({ phase: "queued" })]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(
          Effect.flip(Stream.runDrain(process.stream({ ...job, queuedDeadline: "30 seconds" })))
        )
        yield* TestClock.adjust("2 minutes")

        assert.deepInclude(factsOf(yield* Fiber.join(fiber)), { _tag: "Timeout", phase: "queued", jobId: "job-1" })
      }))

    it.effect("tells the status of a provider that cannot stream, and the whole answer at its end", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted()], retrieve: [ended(answer)] })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runCollect(process.stream(job)))
        yield* TestClock.adjust("5 seconds")

        assert.deepStrictEqual((yield* Fiber.join(fiber)).map(brief), [
          "Started job-1",
          "Status queued",
          "0 Paris, of course.",
          "Completed"
        ])
      }))

    it.effect("tells a watcher that joins a run of execute its start, its status and its answer", () =>
      Effect.gen(function*() {
        const retrieve = [pending({ phase: "queued" }), pending(), ended(answer)]
        const provider = yield* ScriptedProvider.make({ submit: [accepted()], retrieve })
        const process = yield* start(provider)
        const first = yield* begin(process.execute(job))
        yield* TestClock.adjust("1 second")
        const fiber = yield* begin(Stream.runCollect(process.stream(job)))
        yield* TestClock.adjust("30 seconds")
        yield* Fiber.join(first)

        assert.deepStrictEqual((yield* Fiber.join(fiber)).map(brief), [
          "Started job-1",
          "Status queued",
          "Status in_progress",
          "0 Paris, of course.",
          "Completed"
        ])
      }))
  })

  describe("of a held call", () => {
    it.effect("tells the answer as it grows and settles it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ createStream: [told("Paris", ", of", " course.")] })
        const process = yield* start(provider)
        const events = yield* Stream.runCollect(process.stream(held))

        assert.deepStrictEqual(events.map(brief), ["Started job-1", "0 Paris", "5 , of", "9  course.", "Completed"])
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Settled"])
      }))

    it.effect("retries before the first piece, as a plain call does", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          createStream: [
            Stream.fromEffect(refuses(overloaded)),
            Stream.empty,
            Stream.concat(Stream.take(told("Paris"), 1), Stream.fromEffect(fails(serverError))),
            told("Paris", ", of", " course.")
          ]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Stream.runCollect(process.stream(held)))
        yield* TestClock.adjust("1 minute")
        const events = yield* Fiber.join(fiber)

        assert.strictEqual(textOf(events), "Paris, of course.")
        assert.deepInclude(completed(events), { attempts: 4, submissions: 4 })
      }).pipe(withoutJitter))

    it.effect("does not repeat what was told in part: that is StreamInterrupted, with the text and the usage", () =>
      Effect.gen(function*() {
        const usage = new Usage.Usage({
          inputTokens: 3,
          cacheReadTokens: 0,
          cacheWriteTokens: 0,
          outputTokens: 1,
          reasoningTokens: 0,
          totalTokens: 4
        })
        const provider = yield* ScriptedProvider.make({
          createStream: [
            Stream.concat(
              Stream.concat(
                Stream.take(told("Paris", ", of"), 3),
                Stream.make<[StreamEvent]>({ _tag: "Usage", usage })
              ),
              Stream.fromEffect(fails(serverError))
            ),
            told("Paris", ", of", " course.")
          ]
        })
        const process = yield* start(provider)
        const told1 = yield* Effect.exit(Stream.runCollect(process.stream(held)))
        const error = Exit.isFailure(told1) ? yield* Effect.flip(told1) : undefined
        const again = yield* Stream.runCollect(process.stream(held))

        assert.deepStrictEqual(factsOf(error), {
          _tag: "Retryable",
          reason: "StreamInterrupted",
          attempts: 1,
          session: "s"
        })
        assert.deepInclude(error?._tag === "Retryable" ? error.reason : {}, { content: "Paris, of", usage })
        assert.strictEqual(textOf(again), "Paris, of course.")
        assert.strictEqual(provider.calls("createStream").length, 2)
      }))

    it.effect("takes the end of the connection for no success", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ createStream: [cut(told("Paris", ", of", " course."), 4)] })
        const process = yield* start(provider)
        const error = yield* Effect.flip(Stream.runDrain(process.stream(held)))

        assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "StreamInterrupted" })
      }))

    it.effect("gives a silent stream up after its timeouts", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          createStream: [Stream.never, Stream.concat(Stream.take(told("Paris"), 2), Stream.never)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(Stream.runDrain(process.stream({
          ...held,
          streamTimeouts: { firstEvent: "10 seconds", idle: "20 seconds" }
        }))))
        yield* TestClock.adjust("11 seconds")
        const calls = provider.calls("createStream").map(({ at }) => at)
        yield* TestClock.adjust("20 seconds")

        assert.deepStrictEqual(calls, [0, 10_500])
        assert.deepInclude(factsOf(yield* Fiber.join(fiber)), { _tag: "Retryable", reason: "StreamInterrupted" })
      }).pipe(withoutJitter))

    it.effect("gives a stream up that falls silent sooner than its first event might have come", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          createStream: [
            Stream.fromEffect(Effect.sleep("1 second")).pipe(
              Stream.drain,
              Stream.concat(Stream.take(told("Paris"), 2)),
              Stream.concat(Stream.never)
            )
          ]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(Stream.runDrain(process.stream({
          ...held,
          streamTimeouts: { firstEvent: "1 minute", idle: "5 seconds" }
        }))))
        yield* TestClock.adjust("5999 millis")
        const before = fiber.pollUnsafe()
        yield* TestClock.adjust("1 millis")

        assert.isUndefined(before)
        assert.isDefined(fiber.pollUnsafe())
        assert.deepInclude(factsOf(yield* Fiber.join(fiber)), { _tag: "Retryable", reason: "StreamInterrupted" })
      }))

    it.effect("fails with what the model's end says", () =>
      Effect.gen(function*() {
        const verdict: ProviderError.Verdict = {
          _tag: "NonRetryable",
          reason: new Reason.ContentFiltered({ message: "Filtered", content: "Par" })
        }
        const provider = yield* ScriptedProvider.make({
          createStream: [Stream.concat(
            Stream.take(told("Par"), 2),
            Stream.make<[StreamEvent]>({ _tag: "Ended", outcome: failed(verdict) })
          )]
        })
        const process = yield* start(provider)
        const error = yield* Effect.flip(Stream.runDrain(process.stream(held)))

        assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "ContentFiltered" })
      }))

    it.effect("is given up with the text so far when its session is cancelled", () =>
      Effect.gen(function*() {
        let isClosed = false
        const endless = Stream.concat(Stream.take(told("Paris", ", of"), 3), Stream.never).pipe(
          Stream.ensuring(Effect.sync(() => {
            isClosed = true
          }))
        )
        const provider = yield* ScriptedProvider.make({ createStream: [endless] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(Stream.runDrain(process.stream(held))))
        yield* settleDown
        const before = isClosed
        yield* process.cancel("s")
        const error = yield* Fiber.join(fiber)

        assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "JobCancelled" })
        assert.deepInclude(error._tag === "NonRetryable" ? error.reason : {}, { content: "Paris, of" })
        assert.deepStrictEqual([before, isClosed], [false, true])
      }))

    it.effect("is not slowed by a watcher once somebody waits for the answer alone", () =>
      Effect.gen(function*() {
        const pieces = Array.from({ length: 50 }, () => "x".repeat(20_000))
        const provider = yield* ScriptedProvider.make({ createStream: [told(...pieces)] })
        const process = yield* start(provider)
        const watching = yield* begin(
          process.stream(held).pipe(Stream.rechunk(1), Stream.runForEach(() => Effect.sleep("1 hour")))
        )
        yield* TestClock.adjust("1 second")
        const waiting = yield* begin(process.execute(held))
        yield* TestClock.adjust("1 second")

        assert.strictEqual((yield* Fiber.join(waiting)).content.length, 1_000_000)
        yield* Fiber.interrupt(watching)
      }))

    it.effect("slows the provider down to the pace of its only watcher, and keeps every piece", () =>
      Effect.gen(function*() {
        let sent = 0
        const piece = "x".repeat(10_000)
        const flood = Stream.make<[StreamEvent]>({ _tag: "Started", responseId: "r" }).pipe(
          Stream.concat(
            Stream.range(1, 200).pipe(
              Stream.rechunk(1),
              Stream.tap(() =>
                Effect.sync(() => {
                  sent++
                })
              ),
              Stream.map((): StreamEvent => ({ _tag: "Text", delta: piece }))
            )
          ),
          Stream.concat(Stream.make<[StreamEvent]>({ _tag: "Ended", outcome: succeeded(piece.repeat(200)) }))
        )
        const provider = yield* ScriptedProvider.make({ createStream: [flood] })
        const process = yield* start(provider)
        let length = 0
        const fiber = yield* begin(
          process.stream({ ...held, session: undefined }).pipe(
            Stream.rechunk(1),
            Stream.runForEach((event) => {
              if (event._tag === "TextDelta") length += event.delta.length
              return Effect.sleep("1 second")
            })
          )
        )
        yield* TestClock.adjust("1 second")
        const early = sent
        yield* TestClock.adjust("10 minutes")
        yield* Fiber.join(fiber)

        assert.isBelow(early, 60)
        assert.strictEqual(length, 2_000_000)
      }))
  })
})

/** A stream of an answer that comes in pieces; the cursor counts the events from 0. */
const told = (...pieces: ReadonlyArray<string>): Stream.Stream<StreamEvent, ProviderError.ProviderError> =>
  Stream.fromIterable<StreamEvent>([
    { _tag: "Started", responseId: "job-1" },
    ...pieces.map((delta): StreamEvent => ({ _tag: "Text", delta })),
    { _tag: "Ended", outcome: succeeded(pieces.join("")) }
  ].map((event, index) => ({ ...event as StreamEvent, cursor: String(index) }))).pipe(Stream.rechunk(1))

/** The events `from` to `after` (exclusive) of a stream, then the end of the connection. */
const cut = (stream: ReturnType<typeof told>, after: number, from = 0): ReturnType<typeof told> =>
  Stream.drop(Stream.take(stream, after), from)

/** The stream of a server that does not number its events. */
const withoutCursors = (stream: ReturnType<typeof told>): ReturnType<typeof told> =>
  Stream.map(stream, ({ cursor: _, ...event }): StreamEvent => event)

const textOf = (events: Iterable<Event>): string =>
  [...events].map((event) => event._tag === "TextDelta" ? event.delta : "").join("")

const completed = (events: ReadonlyArray<Event>) => {
  const last = events.at(-1)
  return last?._tag === "Completed" ? last.response : undefined
}

const brief = (event: Event): string => {
  switch (event._tag) {
    case "Started":
      return `Started ${event.responseId}`
    case "TextDelta":
      return `${event.offset} ${event.delta}`
    case "Status":
      return `Status ${event.status}`
    default:
      return event._tag
  }
}
