import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Schedule, Scope } from "effect"
import { Holdfast, Providers, type ResponseRequest, Schedules, SessionStore, type StrategyError } from "holdfast"
import { Simulator } from "holdfast/testing"

describe("GeminiInteractions over HTTP", () => {
  it.live("gets an answer from one submission, and the same answer again without a request", () =>
    withSimulator({ completeAfterPolls: 2 }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const answer = yield* process.execute({ ...request, instructions: "Be brief." })
        const again = yield* process.execute({ ...request, instructions: "Be brief." })

        const { requests, submissions } = yield* sim.ledger
        assert.include(answer.content, "You asked: Name the capital of France.")
        assert.deepInclude(answer, {
          provider: "gemini",
          strategy: "background",
          finishReason: "stop",
          submissions: 1,
          attempts: 1,
          polls: 2,
          settled: true,
          resumed: false
        })
        assert.isAbove(answer.usage?.totalTokens ?? 0, 0)
        assert.notInclude(JSON.stringify(answer.response), "user_input")
        assert.notInclude(JSON.stringify(answer.response), "Be brief.")
        assert.deepInclude(again, { content: answer.content, polls: 0, resumed: true })
        assert.deepStrictEqual(requests, { "interactions.create": 1, "interactions.retrieve": 2 })
        assert.deepInclude(submissions[0], { model: "gemini-3.8-flash", background: true, accepted: true })
      })))

  it.live("gets the report of an agent", () =>
    withSimulator({ completeAfterPolls: 1 }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const model = "gemini/deep-research-pro-preview-12-2025"
        const answer = yield* process.execute({ ...request, model })

        const { submissions } = yield* sim.ledger
        assert.deepInclude(answer, { model: "deep-research-pro-preview-12-2025", settled: true })
        assert.containSubset(submissions, [{ body: { agent: "deep-research-pro-preview-12-2025" } }])
      })))

  it.live("goes on with the same interaction after its process was lost", () =>
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

  it.live("cancels the interaction, and settles the session as cancelled", () =>
    withSimulator({ jobDuration: "1 hour" }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const running = yield* Effect.forkChild(process.execute(request), { startImmediately: true })
        yield* eventually(sim.jobs, (jobs) => (jobs[0]?.polls ?? 0) > 0)
        yield* process.cancel("s")

        assert.strictEqual(reasonOf(yield* Effect.flip(Fiber.join(running))), "NonRetryable JobCancelled")
        assert.strictEqual((yield* sim.ledger).requests["interactions.cancel"], 1)
      })))

  it.live.each<[string, ResponseRequest.RequestInput]>([
    ["its caller leaves", request],
    ["its deadline passes", { ...request, deadline: "500 millis" }]
  ])(
    "cancels the interaction when %s, where the request says so",
    ([, request]) =>
      withSimulator({ jobDuration: "1 hour" }, (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim)
          const running = yield* Effect.forkChild(process.execute({ ...request, onInterrupt: "cancel" }))
          if (request.deadline === undefined) {
            yield* eventually(sim.jobs, (jobs) => (jobs[0]?.polls ?? 0) > 0)
            yield* Fiber.interrupt(running)
          }
          const exit = yield* Fiber.await(running)
          yield* eventually(sim.ledger, ({ requests }) => requests["interactions.cancel"] === 1)

          assert.isTrue(Exit.isFailure(exit))
          assert.strictEqual(reasonOf(yield* Effect.flip(process.execute(request))), "NonRetryable JobCancelled")
        }))
  )

  it.live("is uncertain about a submission whose answer was lost, as there is no list to find it in", () =>
    withSimulator(
      { jobDuration: 0, script: [{ on: "interactions.create", do: { _tag: "Reset", accepted: true } }] },
      (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim)
          const error = yield* Effect.flip(process.execute(request))
          const [job] = yield* sim.jobs
          yield* process.adopt("s", job?.id ?? "")
          const answer = yield* process.execute(request)

          assert.strictEqual(reasonOf(error), "NonRetryable SubmissionUncertain")
          assert.deepInclude(answer, { submissions: 1, resumed: true, settled: true })
          assert.strictEqual((yield* sim.ledger).requests["interactions.create"], 1)
        })
    ))

  it.live.each<[Extract<Simulator.Action, { readonly _tag: "Job" }>, string]>([
    [{ _tag: "Job", outcome: "failed" }, "Retryable JobFailed"],
    [{ _tag: "Job", outcome: "failed", code: "invalid_request" }, "NonRetryable JobFailed"],
    [{ _tag: "Job", outcome: "cancelled" }, "NonRetryable JobCancelled"],
    [{ _tag: "Job", outcome: "incomplete" }, "NonRetryable Incomplete"],
    [{ _tag: "Job", outcome: "incomplete", reason: "budget_exceeded" }, "NonRetryable Incomplete"],
    [{ _tag: "Job", outcome: "empty" }, "NonRetryable EmptyContent"],
    [{ _tag: "Job", outcome: "unknown-status" }, "Retryable InvalidResponse"]
  ])(
    "ends after %j with %s",
    ([action, expected]) =>
      withSimulator(
        { completeAfterPolls: 1, script: [{ on: "interactions.create", do: action }] },
        (sim) =>
          Effect.gen(function*() {
            const process = yield* start(sim)

            assert.strictEqual(reasonOf(yield* Effect.flip(process.execute(request))), expected)
            assert.lengthOf((yield* sim.ledger).submissions, 1)
          })
      )
  )

  it.live("gives tool calls as an answer", () =>
    withSimulator(
      { completeAfterPolls: 1, script: [{ on: "interactions.create", do: { _tag: "Job", outcome: "toolCall" } }] },
      (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim)

          assert.deepInclude(yield* process.execute(request), {
            content: "",
            finishReason: "tool-calls",
            settled: true
          })
        })
    ))

  it.live.each<[string, Simulator.Rule]>([
    ["a poll is answered with garbage", { on: "interactions.retrieve", do: { _tag: "Corrupt", how: "garbage" } }],
    ["the connection of a poll is reset", { on: "interactions.retrieve", do: { _tag: "Reset", accepted: true } }],
    ["it is refused at first", { on: "interactions.create", do: { _tag: "Error", error: "overloaded" } }],
    ["background is ignored", { on: "interactions.create", do: { _tag: "IgnoreBackground" } }]
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

  it.live("is refused without a request for store: false", () =>
    withSimulator({}, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const error = yield* Effect.flip(process.execute({ ...request, store: false }))

        assert.strictEqual(reasonOf(error), "NonRetryable InvalidRequest")
        assert.deepStrictEqual((yield* sim.ledger).requests, {})
      })))

  it.live("leaves completions to the OpenAI-compatible endpoint", () =>
    withSimulator({}, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim)
        const answer = yield* process.execute({ model: request.model, prompt: request.prompt })

        assert.strictEqual(answer.strategy, "completions")
        assert.deepStrictEqual((yield* sim.ledger).requests, { "chat.create": 1 })
      })))
})

const request: ResponseRequest.RequestInput = {
  model: "gemini/gemini-3.8-flash",
  prompt: "Name the capital of France.",
  strategy: "background",
  session: "s"
}

const withSimulator = <A, E>(
  options: Simulator.Options,
  use: (sim: Simulator.Simulator["Service"]) => Effect.Effect<A, E, Scope.Scope>
) =>
  Simulator.Simulator.use(use).pipe(
    Effect.provide(Simulator.layer(options), { local: true }),
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
  const providers = Providers.layer({ gemini: { baseUrl: sim.geminiBaseUrl, apiKey: Redacted.make("sim") } })
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Holdfast.layer.pipe(Layer.provide([providers, Layer.succeed(SessionStore.SessionStore, own)]))),
    scope
  )
  return { ...Context.get(context, Holdfast.Holdfast), close: Scope.close(scope, Exit.void) }
})

const eventually = <A, E>(effect: Effect.Effect<A, E>, isDone: (value: A) => boolean): Effect.Effect<A, E> =>
  effect.pipe(Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: isDone }))

const reasonOf = (error: StrategyError.StrategyError): string =>
  error._tag === "Timeout" ? error._tag : `${error._tag} ${error.reason._tag}`
