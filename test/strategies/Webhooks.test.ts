import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Fiber, Layer, Random, Redacted, Result, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import type { Verdict } from "../../src/errors/ProviderError.ts"
import { ContentFiltered, JobFailed, ServerError } from "../../src/errors/Reason.ts"
import { StoreUnavailable } from "../../src/errors/SessionStoreError.ts"
import type { StrategyError } from "../../src/errors/StrategyError.ts"
import * as Holdfast from "../../src/Holdfast.ts"
import type { LlmResponse } from "../../src/services/LlmResponse.ts"
import type { Outcome, StreamEvent } from "../../src/services/Provider.ts"
import type { ResponseEvent } from "../../src/services/ResponseEvent.ts"
import { Accepted, noVersion, Prepared, Submitting } from "../../src/services/Session.ts"
import * as SessionStore from "../../src/services/SessionStore.ts"
import * as SqliteClient from "../../src/services/SqliteClient.ts"
import * as WebhookSignature from "../../src/services/WebhookSignature.ts"
import * as SessionRuns from "../../src/strategies/SessionRuns.ts"
import * as Webhooks from "../../src/strategies/Webhooks.ts"
import { ScriptedProvider } from "../../src/testing/index.ts"

describe("Webhooks", () => {
  it.effect("settle the session of a job that nobody waits for", () =>
    Effect.gen(function*() {
      const { run, scripted } = yield* world({ retrieve: [ended(answer("Paris"))] })
      yield* journal("s", "job-1")

      const receipt = yield* run(send("job-1"))
      const { content, submissions } = yield* run(Holdfast.resume("s"))

      assert.deepStrictEqual(receipt, { _tag: "Settled", jobId: "job-1", session: "s" })
      assert.strictEqual(content, "Paris")
      assert.strictEqual(submissions, 1)
      assert.lengthOf(scripted.calls("retrieve"), 1)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("find their job among many sessions", () =>
    Effect.gen(function*() {
      const { run, scripted } = yield* world({ retrieve: [ended(answer("Paris"))] })
      yield* Effect.forEach(Array.from({ length: 100 }, (_, n) => n), (n) => journal(`s-${n}`, `job-${n}`))

      assert.deepStrictEqual(yield* run(send("job-77")), { _tag: "Settled", jobId: "job-77", session: "s-77" })
      assert.deepStrictEqual(scripted.calls("retrieve").map(({ jobId }) => jobId), ["job-77"])
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("read no session but their job's, where the store knows it", () =>
    Effect.gen(function*() {
      const loaded = new Set<string>()
      const store = yield* SessionStore.SessionStore
      const { run } = yield* world({ retrieve: [ended(answer("Paris"))] }).pipe(
        Effect.provideService(SessionStore.SessionStore, {
          ...store,
          load: (key) => {
            loaded.add(key)
            return store.load(key)
          }
        })
      )
      yield* Effect.forEach(Array.from({ length: 10 }, (_, n) => n), (n) => journal(`s-${n}`, `job-${n}`))

      assert.deepStrictEqual(yield* run(send("job-7")), { _tag: "Settled", jobId: "job-7", session: "s-7" })
      assert.deepStrictEqual(yield* run(send("job-7", { id: "wh_2" })), {
        _tag: "Settled",
        jobId: "job-7",
        session: "s-7"
      })
      assert.deepStrictEqual(yield* run(send("job-of-another-program", { id: "wh_3" })), {
        _tag: "Unknown",
        jobId: "job-of-another-program"
      })
      assert.deepStrictEqual([...loaded], ["s-7"])
    }).pipe(Effect.provide(layerSqlite)))

  it.effect("fetch nothing when they are repeated, in this process and in another one", () =>
    Effect.gen(function*() {
      const { run, scripted } = yield* world({ retrieve: [ended(answer("Paris"))] })
      const other = yield* world({})
      yield* journal("s", "job-1")
      yield* run(send("job-1"))

      assert.deepStrictEqual(yield* run(send("job-1")), { _tag: "Repeated" })
      assert.deepStrictEqual(yield* run(send("job-1", { id: "wh_2" })), settled)
      assert.deepStrictEqual(yield* other.run(send("job-1")), settled)
      assert.lengthOf(scripted.calls("retrieve"), 1)
      assert.lengthOf(other.scripted.calls(), 0)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect.each<[string, Outcome]>([
    ["a filtered answer", { _tag: "Failed", verdict: filtered }],
    ["a failed job", { _tag: "Failed", verdict: failedJob }]
  ])("take %s for an end like any other", ([, outcome]) =>
    Effect.gen(function*() {
      const { run, scripted } = yield* world({ retrieve: [ended(outcome)] })
      yield* journal("s", "job-1")

      assert.deepStrictEqual(yield* run(send("job-1", { type: "response.failed" })), settled)
      assert.deepStrictEqual(yield* run(send("job-1", { id: "wh_2" })), settled)
      assert.lengthOf(scripted.calls("retrieve"), 1)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("ask to be sent again when the provider says that the job still runs", () =>
    Effect.gen(function*() {
      const { run } = yield* world({ retrieve: [ScriptedProvider.pending()] })
      yield* journal("s", "job-1")
      const replying = yield* Effect.forkChild(run(reply("job-1")), { startImmediately: true })
      yield* TestClock.adjust("15 seconds")

      assert.strictEqual((yield* Fiber.join(replying)).status, 503)
      assert.strictEqual((yield* run(Holdfast.inspect("s"))).state, "running")
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("are taken again after one that could not be handled", () =>
    Effect.gen(function*() {
      const { run } = yield* world({ retrieve: [ScriptedProvider.pending(), ended(answer("Paris"))] }, "1 second")
      yield* journal("s", "job-1")
      const first = yield* Effect.forkChild(run(reply("job-1")), { startImmediately: true })
      yield* TestClock.adjust("1 second")

      assert.strictEqual((yield* Fiber.join(first)).status, 503)
      assert.strictEqual((yield* run(reply("job-1"))).status, 200)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("resolve an uncertain submission by the id that its job carries", () =>
    Effect.gen(function*() {
      const submissions: Array<string> = []
      const { run, scripted } = yield* world({
        submit: [({ submissionId = "" }) => {
          submissions.push(submissionId)
          return ScriptedProvider.fails()
        }],
        retrieve: [
          ({ jobId }) => ended(answer("Paris", jobId === "job-1" ? { holdfast_submission: submissions[0] ?? "" } : {}))
        ]
      })
      const uncertain = yield* Effect.flip(run(Holdfast.execute(request)))
      const foreign = yield* run(send("job-2"))
      const receipt = yield* run(send("job-1", { id: "wh_2" }))
      const { content } = yield* run(Holdfast.execute(request))

      assert.strictEqual(uncertain._tag === "NonRetryable" ? uncertain.reason._tag : "", "SubmissionUncertain")
      assert.deepStrictEqual(foreign, { _tag: "Unknown", jobId: "job-2" })
      assert.deepStrictEqual(receipt, settled)
      assert.strictEqual(content, "Paris")
      assert.lengthOf(scripted.calls("submit"), 1)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("ask to be sent again when an uncertain submission's job cannot be looked up now", () =>
    Effect.gen(function*() {
      const { run } = yield* world({ submit: [ScriptedProvider.fails()], retrieve: [ScriptedProvider.fails()] })
      yield* Effect.flip(run(Holdfast.execute(request)))

      assert.strictEqual((yield* run(reply("job-1"))).status, 503)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("leave what a provider says, which may quote the prompt, out of spans", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const quoting: Verdict = { _tag: "Retryable", reason: new ServerError({ message: "The prompt was: Hi" }) }
      const { run } = yield* world({
        submit: [ScriptedProvider.fails()],
        retrieve: [ScriptedProvider.fails(quoting)]
      })
      yield* Effect.flip(run(Holdfast.execute(request)))
      const error = yield* Effect.provideService(Effect.flip(run(send("job-1"))), Tracer.Tracer, tracer)
      yield* run(reply("job-1")).pipe(Effect.withSpan("a server's"), Effect.provideService(Tracer.Tracer, tracer))
      const kept = spans.map(({ events, status }) => inspect({ events, status }, { depth: 20 }))

      assert.include(error.message, "The prompt was: Hi")
      assert.isTrue(kept.some((text) => text.includes("A webhook could not be handled now")))
      assert.deepStrictEqual(kept.filter((text) => text.includes("The prompt was")), [])
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("wake the run that waits for the job in this process", () =>
    Effect.gen(function*() {
      const { run, scripted } = yield* world({
        submit: [ScriptedProvider.accepted()],
        retrieve: [ScriptedProvider.pending(), ended(answer("Paris"))]
      })
      const waiting = yield* Effect.forkChild(run(Holdfast.execute(request)), { startImmediately: true })
      yield* TestClock.adjust("1100 millis")
      const sending = yield* Effect.forkChild(run(send("job-1")), { startImmediately: true })
      yield* TestClock.adjust("15 seconds")

      assert.isTrue(Exit.isSuccess(yield* Fiber.await(sending)))
      assert.strictEqual((yield* Fiber.join(waiting)).content, "Paris")
      assert.lengthOf(scripted.calls("submit"), 1)
      // The webhook and the call share one run.
      assert.lengthOf(scripted.calls("retrieve"), 2)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("settle the session whose caller leaves while its run looks at the job", () =>
    Effect.gen(function*() {
      const { run, scripted } = yield* world({
        retrieve: [ScriptedProvider.pending(), Effect.delay(ended(answer("Paris")), "2 seconds")]
      })
      const waiting = yield* Effect.forkChild(run(Holdfast.execute(request)), { startImmediately: true })
      yield* TestClock.adjust("2 minutes")
      const before = scripted.calls("retrieve").length
      const sending = yield* Effect.forkChild(run(send("job-1")), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("10 seconds")

      assert.strictEqual(before, 1)
      assert.deepStrictEqual(yield* Fiber.join(sending), settled)
      assert.strictEqual((yield* run(Holdfast.resume("s"))).content, "Paris")
    }).pipe(Effect.provide(SessionStore.layerMemory), withoutJitter))

  it.effect.each<[string, Outcome, string]>([
    ["an answer", ScriptedProvider.succeeded("Paris"), "Paris"],
    ["a failure that another job may cure", { _tag: "Failed", verdict: failedJob }, "JobFailed"]
  ])(
    "wake the run that waits for the job in another process, for %s",
    ([, outcome, expected]) =>
      Effect.gen(function*() {
        const { pending } = ScriptedProvider
        const waiter = yield* world({ retrieve: [pending(), pending(), pending(), ended(outcome)] })
        const receiver = yield* world({ retrieve: [ended(outcome)] })
        const waiting = yield* Effect.forkChild(Effect.result(waiter.run(Holdfast.execute(request))))
        yield* TestClock.adjust("10 minutes")
        const before = waiter.scripted.calls("retrieve").length
        const receipt = yield* receiver.run(send("job-1"))
        yield* TestClock.adjust("3 seconds")
        const polls = waiter.scripted.calls("retrieve").length
        const result = yield* Fiber.join(waiting)

        assert.deepStrictEqual(receipt, settled)
        assert.deepStrictEqual([before, polls], [3, 4])
        assert.strictEqual(wordOf(result), expected)
      }).pipe(Effect.provide(SessionStore.layerMemory), withoutJitter)
  )

  it.effect("wake the run of another process although the store could not be read in between", () =>
    Effect.gen(function*() {
      const { pending } = ScriptedProvider
      const store = yield* SessionStore.SessionStore
      let isDown = false
      const down = new StoreUnavailable({ operation: "load", message: "down" })
      const waiter = yield* world({ retrieve: [pending(), pending(), pending(), ended(answer("Paris"))] }).pipe(
        Effect.provideService(SessionStore.SessionStore, {
          ...store,
          load: (key) => Effect.suspend(() => isDown ? Effect.fail(down) : store.load(key))
        })
      )
      const receiver = yield* world({ retrieve: [ended(answer("Paris"))] })
      const waiting = yield* Effect.forkChild(waiter.run(Holdfast.execute(request)))
      yield* TestClock.adjust("8 minutes")
      isDown = true
      yield* TestClock.adjust("1 minute")
      isDown = false
      yield* receiver.run(send("job-1"))
      yield* TestClock.adjust("3 seconds")

      assert.strictEqual(waiting.pollUnsafe()?._tag, "Success")
    }).pipe(Effect.provide(SessionStore.layerMemory), withoutJitter))

  it.effect("wake a watcher whose stream is silent, also when one came early, and no piece is told twice", () =>
    Effect.gen(function*() {
      const pieces = Stream.make<[StreamEvent, StreamEvent]>(
        { _tag: "Started", responseId: "job-1", cursor: "0" },
        { _tag: "Text", delta: "Pa", cursor: "1" }
      )
      const { run, scripted } = yield* world({
        submitStream: [Stream.concat(pieces, Stream.never)],
        stream: [Stream.never],
        retrieve: [ScriptedProvider.pending(), ended(answer("Paris"))]
      }, "1 second")
      const events: Array<ResponseEvent> = []
      const watching = yield* Effect.forkChild(run(Effect.flatMap(
        Holdfast.Holdfast,
        ({ stream }) => Stream.runForEach(stream(request), (event) => Effect.sync(() => events.push(event)))
      )))
      yield* TestClock.adjust("10 seconds")
      const early = yield* Effect.forkChild(run(reply("job-1")))
      yield* TestClock.adjust("200 millis")
      const before = scripted.calls("retrieve").length
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(watching)

      assert.strictEqual(before, 1)
      assert.strictEqual((yield* Fiber.join(early)).status, 200)
      assert.deepStrictEqual(events.map((event) => event._tag === "TextDelta" ? event.delta : event._tag), [
        "Started",
        "Pa",
        "ris",
        "Completed"
      ])
    }).pipe(Effect.provide(SessionStore.layerMemory), withoutJitter))

  it.effect("leave a few polls for a job of half an hour, and wake its run at the end", () =>
    Effect.gen(function*() {
      let isOver = false
      const retrieve = [
        () => Effect.suspend(() => isOver ? ended(answer("Paris")) : ScriptedProvider.pending())
      ]
      const submit = [ScriptedProvider.accepted("job-1")]
      const hinted = yield* world({ submit, retrieve })
      const waiting = yield* Effect.forkChild(hinted.run(Holdfast.execute({ ...request, session: "hinted" })))
      const scripted = yield* ScriptedProvider.make({ submit, retrieve })
      const polling = yield* Effect.forkChild(
        Effect.provide(
          Holdfast.execute({ ...request, session: "polled" }),
          Layer.fresh(Holdfast.layer).pipe(Layer.provide([scripted.layer, SessionStore.layerMemory]))
        )
      )
      yield* TestClock.adjust("30 minutes")
      isOver = true
      const sent = yield* Effect.forkChild(hinted.run(send("job-1")))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(sent)

      assert.strictEqual((yield* Fiber.join(waiting)).polls, 6)
      assert.strictEqual((yield* Fiber.join(polling)).polls, 129)
    }).pipe(Effect.provide(SessionStore.layerMemory), withoutJitter))

  it.effect("leave the polls of a provider alone until a webhook of it has arrived", () =>
    Effect.gen(function*() {
      const retrieve = [() => ScriptedProvider.pending()]
      const submit = ["job-1", "job-2"].map((id) => ScriptedProvider.accepted(id))
      const { run, scripted } = yield* world({ submit, retrieve }, undefined, false)
      const polls = (id: string) => scripted.calls("retrieve").filter(({ jobId }) => jobId === id).length
      yield* Effect.forkChild(run(Holdfast.execute({ ...request, session: "first" })))
      yield* TestClock.adjust("10 minutes")
      const before = polls("job-1")
      yield* Effect.forkChild(run(Effect.exit(send("job-1"))))
      yield* TestClock.adjust("1 minute")
      yield* Effect.forkChild(run(Holdfast.execute({ ...request, session: "second" })))
      yield* TestClock.adjust("10 minutes")

      assert.isAbove(before, 40)
      assert.strictEqual(polls("job-2"), 3)
    }).pipe(Effect.provide(SessionStore.layerMemory), withoutJitter))

  it.effect("leave the next model to the process that has the request", () =>
    Effect.gen(function*() {
      let isOver = false
      const retrieve = [({ jobId }: ScriptedProvider.Call) => {
        if (jobId === "job-2") return ended(answer("Paris"))
        return isOver ? ended(ScriptedProvider.failed(filtered)) : ScriptedProvider.pending()
      }]
      const one = yield* world({
        submit: [ScriptedProvider.accepted("job-1"), ScriptedProvider.accepted("job-2")],
        retrieve
      })
      const other = yield* world({ retrieve })
      const waiting = yield* Effect.forkChild(one.run(Holdfast.execute({ ...request, fallback: ["test/other"] })))
      yield* TestClock.adjust("10 minutes")
      isOver = true
      const receipt = yield* other.run(send("job-1"))
      yield* TestClock.adjust("2 minutes")
      const { content, passedOver } = yield* Fiber.join(waiting)

      assert.deepStrictEqual(receipt, settled)
      assert.strictEqual(content, "Paris")
      assert.deepStrictEqual(passedOver?.map(({ model }) => model), ["test/m"])
    }).pipe(Effect.provide(SessionStore.layerMemory), withoutJitter))

  it.effect.each(["batch.completed", "response.created", "something.new"])(
    "ignore %s",
    (type) =>
      Effect.gen(function*() {
        const { run, scripted } = yield* world({})
        yield* journal("s", "job-1")

        assert.deepStrictEqual(yield* run(send("job-1", { type })), { _tag: "Ignored", type })
        assert.lengthOf(scripted.calls(), 0)
      }).pipe(Effect.provide(SessionStore.layerMemory))
  )

  it.effect("take Gemini's events", () =>
    Effect.gen(function*() {
      const { run } = yield* world({ retrieve: [ended(answer("Paris"))] })
      yield* journal("s", "job-1")

      assert.deepStrictEqual(yield* run(send("job-1", { type: "interaction.completed" })), settled)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("are answered 400, and nothing is fetched, when they are forged, old or no event", () =>
    Effect.gen(function*() {
      const { run, scripted } = yield* world({ retrieve: [ended(answer("Paris"))] })
      yield* journal("s", "job-1")
      yield* TestClock.adjust("1 hour")
      const statuses = yield* run(Effect.all([
        reply("job-1", { secret: Redacted.make("another") }),
        reply("job-1", { age: 301 }),
        reply("job-1", { age: -301 }),
        reply("job-1", { body: "[1" }),
        reply("job-1", { body: "7" })
      ]))

      assert.deepStrictEqual(statuses.map(({ status }) => status), [400, 400, 400, 400, 400])
      assert.lengthOf(scripted.calls(), 0)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("ask to be sent again when the store cannot be read", () =>
    Effect.gen(function*() {
      const store = yield* SessionStore.makeMemory
      const down = new StoreUnavailable({ operation: "load", message: "down" })
      const { run } = yield* Effect.provideService(world({}), SessionStore.SessionStore, {
        ...store,
        list: Stream.make("s"),
        load: () => Effect.fail(down)
      })

      assert.strictEqual((yield* run(reply("job-1"))).status, 503)
    }))
})

const withoutJitter = Effect.provideService(Random.Random, { nextDoubleUnsafe: () => 0, nextIntUnsafe: () => 0 })

const secret = Redacted.make("whsec_c2VjcmV0")

const request = { model: "test/m", prompt: "Hi", session: "s", strategy: "background" } as const

const settled: Webhooks.Receipt = { _tag: "Settled", jobId: "job-1", session: "s" }

const filtered: Verdict = { _tag: "NonRetryable", reason: new ContentFiltered({ message: "" }) }

const failedJob: Verdict = {
  _tag: "Retryable",
  reason: new JobFailed({ message: "", reason: new ServerError({ message: "" }) })
}

const { ended } = ScriptedProvider

/** The answer's text, or why there is none. */
const wordOf = (result: Result.Result<LlmResponse, StrategyError>): string => {
  if (Result.isSuccess(result)) return result.success.content
  return result.failure._tag === "Timeout" ? "Timeout" : result.failure.reason._tag
}

const answer = (content: string, metadata: Record<string, string> = {}): Outcome =>
  ScriptedProvider.succeeded(content, { response: { metadata } })

const layerSqlite = SessionStore.layerSql().pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" })))

/** A process: the front door and the webhooks on one store. */
/** A process with webhooks, whose provider has sent one before. */
const world = Effect.fnUntraced(function*(script: ScriptedProvider.Script, deadline?: "1 second", hasSent = true) {
  const scripted = yield* ScriptedProvider.make({ submit: [ScriptedProvider.accepted()], ...script })
  const store = yield* SessionStore.SessionStore
  const context = yield* Layer.build(
    Layer.mergeAll(Holdfast.layer, Webhooks.layer({ secrets: secret, deadline }), SessionRuns.layer).pipe(
      Layer.provide([scripted.layer, Layer.succeed(SessionStore.SessionStore, store)])
    )
  ).pipe(Effect.provideService(Layer.CurrentMemoMap, yield* Layer.makeMemoMap))
  if (hasSent) yield* Context.get(context, SessionRuns.SessionRuns).noteWebhook("test")
  return {
    scripted,
    run: <A, E>(effect: Effect.Effect<A, E, Holdfast.Holdfast | Webhooks.Webhooks>): Effect.Effect<A, E> =>
      Effect.provideContext(effect, context)
  }
})

/** A session whose job an earlier process has submitted. */
const journal = Effect.fnUntraced(function*(session: string, jobId: string) {
  const store = yield* SessionStore.SessionStore
  const at = yield* Clock.currentTimeMillis
  const submissionId = `submission of ${session}`
  const prepared = yield* store.append(session, Prepared.make({ at, fingerprint: "f" }), noVersion)
  const submitting = Submitting.make({
    at,
    submissionId,
    purpose: "answer",
    provider: "test",
    model: "test/m",
    strategy: "background",
    submitTimeout: 60_000,
    store: true
  })
  yield* store.append(
    session,
    Accepted.make({ at, submissionId, jobId }),
    yield* store.append(session, submitting, prepared)
  )
})

interface Sent {
  readonly id?: string
  readonly type?: string
  readonly body?: string
  readonly secret?: Redacted.Redacted<string>
  /** Seconds since it was signed. */
  readonly age?: number
}

const deliver = Effect.fnUntraced(function*<A, E>(
  jobId: string,
  sent: Sent,
  take: (
    service: Webhooks.Webhooks["Service"]
  ) => (body: string, headers: Record<string, string>) => Effect.Effect<A, E>
) {
  const id = sent.id ?? "wh_1"
  const timestamp = Math.floor((yield* Clock.currentTimeMillis) / 1000) - (sent.age ?? 0)
  const body = sent.body ??
    JSON.stringify({ id: "evt_1", object: "event", type: sent.type ?? "response.completed", data: { id: jobId } })
  return yield* take(yield* Webhooks.Webhooks)(body, {
    "webhook-id": id,
    "webhook-timestamp": `${timestamp}`,
    "webhook-signature": WebhookSignature.sign(sent.secret ?? secret, id, timestamp, body)
  })
})

const send = (jobId: string, sent: Sent = {}) => deliver(jobId, sent, ({ handle }) => handle)

const reply = (jobId: string, sent: Sent = {}) => deliver(jobId, sent, ({ respond }) => respond)
