import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Schedule, Scope } from "effect"
import { Holdfast, Providers, type ResponseRequest, Schedules, SessionStore, type StrategyError } from "holdfast"
import { Simulator } from "holdfast/testing"
import { anthropicValidator } from "./AnthropicPublishedSchemas.ts"

describe("AnthropicBatches over HTTP", () => {
  it.live("gets an answer from one submission, and the same answer again without a request", () =>
    withSimulator({ completeAfterPolls: 2 }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const answer = yield* process.execute(request)
        const again = yield* process.execute(request)

        const { requests, submissions } = yield* sim.ledger
        assert.include(answer.content, "You asked: Name the capital of France.")
        assert.deepInclude(answer, {
          provider: "anthropic",
          strategy: "background",
          finishReason: "stop",
          submissions: 1,
          attempts: 1,
          polls: 2,
          settled: true,
          resumed: false
        })
        assert.nestedPropertyVal(answer.response, "usage.service_tier", "batch")
        assert.deepInclude(again, { content: answer.content, polls: 0, resumed: true })
        assert.deepStrictEqual(requests, { "batches.create": 1, "batches.retrieve": 2, "batches.results": 1 })
        assert.deepInclude(submissions[0], { model: "claude-opus-5-5", background: true, accepted: true })
      })))

  const validate = anthropicValidator("CreateMessageBatchParams")
  it.live.skipIf(validate === undefined)(
    "sends what the published schema allows (needs HOLDFAST_SPECS)",
    () =>
      withSimulator({ completeAfterPolls: 1 }, (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim)
          yield* process.execute({ ...request, instructions: "Be brief.", reasoningEffort: "low", stop: "END" })

          assert.deepStrictEqual(validate?.((yield* sim.ledger).submissions[0]?.body), [])
        }))
  )

  it.live("goes on with the same batch after its process was lost", () =>
    withSimulator({ jobDuration: "1 hour" }, (sim) =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const first = yield* start(sim, store)
        const lost = yield* Effect.forkChild(first.execute(request), { startImmediately: true })
        const [job] = yield* eventually(sim.jobs, (jobs) => (jobs[0]?.polls ?? 0) > 0)
        yield* first.close
        yield* Fiber.await(lost)

        const second = yield* start(sim, store)
        yield* sim.finish(job?.id ?? "")
        const answer = yield* second.execute(request)

        assert.deepInclude(answer, { submissions: 1, attempts: 0, resumed: true, settled: true })
        assert.lengthOf((yield* sim.ledger).submissions, 1)
      })))

  it.live("cancels the batch, and settles the session as cancelled", () =>
    withSimulator({ jobDuration: "1 hour", queuedDuration: 0 }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const running = yield* Effect.forkChild(process.execute(request), { startImmediately: true })
        yield* eventually(sim.jobs, (jobs) => (jobs[0]?.polls ?? 0) > 0)
        yield* process.cancel("s")

        assert.strictEqual(reasonOf(yield* Effect.flip(Fiber.join(running))), "NonRetryable JobCancelled")
        assert.strictEqual((yield* process.inspect("s")).status, "cancelled")
        assert.isAtLeast((yield* sim.ledger).requests["batches.cancel"] ?? 0, 1)
      })))

  it.live.each<[string, ResponseRequest.RequestInput]>([
    ["its caller leaves", request],
    ["its deadline passes", { ...request, deadline: "500 millis" }]
  ])(
    "cancels the batch when %s, where the request says so",
    ([, request]) =>
      withSimulator({ jobDuration: "1 hour", queuedDuration: 0 }, (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim)
          const running = yield* Effect.forkChild(process.execute({ ...request, onInterrupt: "cancel" }))
          if (request.deadline === undefined) {
            yield* eventually(sim.jobs, (jobs) => (jobs[0]?.polls ?? 0) > 0)
            yield* Fiber.interrupt(running)
          }
          const exit = yield* Fiber.await(running)
          yield* eventually(sim.ledger, ({ requests }) => requests["batches.cancel"] === 1)

          assert.isTrue(Exit.isFailure(exit))
          assert.strictEqual(reasonOf(yield* Effect.flip(process.execute(request))), "NonRetryable JobCancelled")
        }))
  )

  it.live("finds a batch whose id was lost, and does not submit again", () =>
    withSimulator({ jobDuration: 0, script: [lostAnswer] }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const answer = yield* process.execute(request)

        const { requests } = yield* sim.ledger
        assert.deepInclude(answer, { submissions: 1, settled: true })
        assert.strictEqual(requests["batches.create"], 1)
        assert.strictEqual(requests["batches.list"], 1)
      })))

  it.live("cannot tell while the lost batch runs, and finds it once it has ended", () =>
    withSimulator({ jobDuration: "1 hour", script: [lostAnswer] }, (sim) =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const process = yield* start(sim, store)
        const brief = { ...request, submitTimeout: "1 second" } as const
        const undecided = yield* Effect.flip(process.execute({ ...brief, deadline: "1 second" }))
        const [job] = yield* sim.jobs
        yield* sim.finish(job?.id ?? "")
        const answer = yield* (yield* start(sim, store)).execute(brief)

        assert.deepInclude(undecided, { _tag: "Timeout", phase: "submit" })
        assert.deepInclude(answer, { submissions: 1, resumed: true })
        assert.strictEqual((yield* sim.ledger).requests["batches.create"], 1)
      })))

  it.live.each<[Simulator.Outcome, string]>([
    ["failed", "Retryable JobFailed"],
    ["expired", "NonRetryable JobExpired"],
    ["incomplete", "NonRetryable Incomplete"],
    ["refused", "NonRetryable Refusal"],
    ["empty", "NonRetryable EmptyContent"],
    ["unknown-status", "Retryable InvalidResponse"]
  ])("ends as %s with %s", ([outcome, expected]) =>
    withSimulator(
      { completeAfterPolls: 1, script: [{ on: "batches.create", do: { _tag: "Job", outcome } }] },
      (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim)

          assert.strictEqual(reasonOf(yield* Effect.flip(process.execute(request))), expected)
          assert.lengthOf((yield* sim.ledger).submissions, 1)
        })
    ))

  it.live("fails for parameters that the model does not take, which only the batch tells", () =>
    withSimulator({ completeAfterPolls: 1 }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const error = yield* Effect.flip(process.execute({ ...request, providerOptions: { top_k: 3 } }))

        assert.strictEqual(reasonOf(error), "NonRetryable JobFailed")
        assert.include(JSON.stringify(error), "top_k")
      })))

  it.live.each<[string, Simulator.Rule]>([
    ["the list of its results is cut", { on: "batches.results", do: { _tag: "Corrupt", how: "half" } }],
    ["the connection of a poll is reset", { on: "batches.retrieve", do: { _tag: "Reset", accepted: true } }],
    ["a poll is answered with a proxy's page", { on: "batches.retrieve", do: { _tag: "Html", status: 502 } }],
    ["it is refused at first", { on: "batches.create", do: { _tag: "Error", error: "overloaded" } }]
  ])(
    "gets its answer when %s",
    ([_, rule]) =>
      withSimulator({ completeAfterPolls: 1, script: [rule] }, (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim)

          assert.deepInclude(yield* process.execute(request), { settled: true, finishReason: "stop" })
          assert.lengthOf(yield* sim.jobs, 1)
        }))
  )
})

const request: ResponseRequest.RequestInput = {
  model: "anthropic/claude-opus-5-5",
  prompt: "Name the capital of France.",
  strategy: "background",
  session: "s"
}

/** The submission is accepted, and its answer is lost. */
const lostAnswer: Simulator.Rule = { on: "batches.create", do: { _tag: "Reset", accepted: true } }

const withSimulator = <A, E>(
  options: Simulator.Options,
  use: (sim: Simulator.Simulator["Service"]) => Effect.Effect<A, E, Scope.Scope>
) =>
  Simulator.Simulator.use(use).pipe(
    Effect.provide(Simulator.layer({ batchPollHint: 0, ...options }), { local: true }),
    Effect.provideService(Schedules.PollPolicy, Schedule.spaced("20 millis")),
    Effect.provideService(Schedules.RetryPolicy, Schedule.spaced("20 millis").pipe(Schedule.upTo({ times: 4 })))
  )

/** Builds a `Holdfast` of its own, which ends with the test or with `close`. */
const start = Effect.fnUntraced(function*(
  sim: Simulator.Simulator["Service"],
  store?: SessionStore.SessionStore["Service"]
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const own = store ?? (yield* SessionStore.makeMemory)
  const providers = Providers.layer({ anthropic: { baseUrl: sim.anthropicBaseUrl, apiKey: Redacted.make("sim") } })
  const context = yield* Layer.buildWithScope(
    Layer.fresh(
      Holdfast.layer.pipe(
        Layer.provide([providers, Layer.succeed(SessionStore.SessionStore, own)])
      )
    ),
    scope
  )
  return { ...Context.get(context, Holdfast.Holdfast), close: Scope.close(scope, Exit.void) }
})

const eventually = <A, E>(effect: Effect.Effect<A, E>, isDone: (value: A) => boolean): Effect.Effect<A, E> =>
  effect.pipe(Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: isDone }))

const reasonOf = (error: StrategyError.StrategyError): string =>
  error._tag === "Timeout" ? error._tag : `${error._tag} ${error.reason._tag}`
