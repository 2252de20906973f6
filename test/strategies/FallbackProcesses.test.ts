import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import {
  type LlmResponse,
  type Provider,
  Providers,
  Reason,
  type ResponseRequest,
  SessionStore,
  SessionStoreError
} from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { begin, request, settleDown, start, withoutJitter } from "./Processes.ts"
import { cancelled, paris } from "./Verdicts.ts"

const { failed, succeeded } = ScriptedProvider

const filtered = failed({ _tag: "NonRetryable", reason: new Reason.ContentFiltered({ message: "Filtered" }) })

const twoModels = request({ model: "a/one", fallback: ["b/two"] })

const cases: ReadonlyArray<Case> = [
  {
    name: "another model",
    asked: twoModels,
    outcomes: { "a/one": [filtered], "b/two": [paris] },
    reason: "ContentFiltered"
  },
  {
    name: "a repair, and another model",
    asked: {
      ...twoModels,
      schema: Schema.Struct({ name: Schema.String }),
      repair: 1,
      fallbackOn: ["InvalidOutput"]
    },
    outcomes: {
      "a/one": [succeeded("Paris"), succeeded("It is Paris")],
      "b/two": [succeeded(`{"name":"Paris"}`)]
    },
    reason: "InvalidOutput"
  },
  {
    name: "a job that is cancelled in its queue, and another model",
    asked: { ...twoModels, queuedDeadline: "5 seconds", fallbackOn: ["Queued"] },
    outcomes: { "a/one": ["queued"], "b/two": [paris] },
    reason: "JobCancelled"
  }
]

describe("fallback among processes", () => {
  it.effect.each(cases)(
    "goes on by way of $name where one was stopped, at any entry, with no job too many",
    ({ asked, outcomes, reason }) =>
      Effect.gen(function*() {
        let stops = 0
        for (let isStopped = true; isStopped; stops++) {
          const memory = yield* SessionStore.makeMemory
          const jobs = yield* providers(outcomes)
          const store = stopping(memory, stops)
          const first = yield* start(jobs, store.store)
          yield* begin(Effect.exit(first.execute(asked)))
          yield* TestClock.adjust("20 minutes")
          isStopped = store.isStopped()
          const next = yield* start(jobs, memory)
          const fiber = yield* begin(Effect.exit(next.execute(asked)))
          yield* TestClock.adjust("20 minutes")
          const exit = yield* Fiber.join(fiber)
          const at = `stopped at ${stops}`

          assert.isTrue(Exit.isSuccess(exit), `${at}: ${JSON.stringify(exit)}`)
          if (!Exit.isSuccess(exit)) return
          assert.deepInclude(exit.value, { provider: "b", settled: true }, at)
          assert.deepStrictEqual(passedOver(exit.value), [["a/one", reason]], at)
          assert.deepStrictEqual(jobs.started(), startedBy(outcomes), at)
          assert.strictEqual(jobs.mostRunning(), 1, at)
          yield* store.wake
          yield* begin(first.close)
          yield* TestClock.adjust("1 minute")
        }

        // Seven entries at least, before and after each.
        assert.isAbove(stops, 14)
      }).pipe(withoutJitter)
  )

  it.effect.each(cases)(
    "gives three at once the same answer by way of $name",
    ({ asked, outcomes, reason }) =>
      Effect.gen(function*() {
        for (let round = 0; round < 40; round++) {
          const store = hesitant(yield* SessionStore.makeMemory)
          const jobs = yield* providers(outcomes)
          const processes = yield* Effect.all([start(jobs, store), start(jobs, store), start(jobs, store)])
          const fibers = yield* Effect.forEach(processes, (process) =>
            Effect.gen(function*() {
              yield* TestClock.adjust(yield* Random.nextIntBetween(0, 4000))
              return yield* begin(process.execute(asked))
            }))
          while (fibers.some((fiber) => fiber.pollUnsafe() === undefined)) {
            yield* TestClock.adjust("1 second")
            yield* settleDown
          }

          for (const answer of yield* Fiber.joinAll(fibers)) {
            assert.deepInclude(answer, { provider: "b", settled: true })
            assert.deepStrictEqual(passedOver(answer), [["a/one", reason]])
          }
          assert.deepStrictEqual(jobs.started(), startedBy(outcomes))
          assert.strictEqual(jobs.mostRunning(), 1)
        }
      })
  )
})

interface Case {
  readonly name: string
  readonly asked: ResponseRequest.RequestInput
  /** What the jobs of each model end with, in turn; a queued one waits until it is cancelled. */
  readonly outcomes: Readonly<Record<string, ReadonlyArray<Provider.Outcome | "queued">>>
  readonly reason: string
}

const passedOver = ({ passedOver = [] }: LlmResponse.LlmResponse) =>
  passedOver.map(({ model, reason }) => [model, reason._tag])

const startedBy = (outcomes: Case["outcomes"]): ReadonlyArray<string> =>
  Object.entries(outcomes).flatMap(([model, { length }]) => Array.from({ length }, () => model))

/** A store that takes its time, so that processes overtake each other. */
const hesitant = (memory: SessionStore.SessionStore["Service"]): SessionStore.SessionStore["Service"] => {
  const pause = Effect.flatMap(Random.nextIntBetween(0, 6), (times) => Effect.repeat(Effect.yieldNow, { times }))
  return {
    ...memory,
    load: (key) => Effect.andThen(pause, memory.load(key)),
    append: (key, entry, expected) => Effect.andThen(pause, memory.append(key, entry, expected))
  }
}

/** Two providers whose jobs can be looked up, and what has become of all their jobs. */
const providers = Effect.fnUntraced(function*(outcomes: Case["outcomes"]) {
  const scripted = yield* ScriptedProvider.make({})
  const jobs: Array<{ readonly submissionId: string; readonly model: string; state: Provider.JobState }> = []
  const running = (): number => jobs.filter(({ state }) => state._tag === "Pending").length
  let most = 0
  const idOf = (submissionId: string): string => `job-${submissionId}`
  const end = (jobId: string, isCancelled: boolean): Provider.JobState => {
    const job = jobs.find(({ submissionId }) => idOf(submissionId) === jobId)
    if (job === undefined) throw new Error(`There is no job ${jobId}`)
    const number = jobs.filter(({ model }) => model === job.model).indexOf(job)
    const outcome = outcomes[job.model]?.[number]
    if (outcome === undefined) throw new Error(`One job too many of ${job.model}`)
    if (outcome !== "queued") job.state = { _tag: "Ended", outcome }
    else if (isCancelled) job.state = { _tag: "Ended", outcome: failed(cancelled) }
    return job.state
  }
  const named = (name: string) => (model: string): Provider.Provider => ({
    name,
    model,
    jobs: {
      submit: (_, { submissionId }) =>
        Effect.sync(() => {
          const state: Provider.JobState = { _tag: "Pending", status: "queued", phase: "queued" }
          jobs.push({ submissionId, model: `${name}/${model}`, state })
          most = Math.max(most, running())
          return { jobId: idOf(submissionId), state }
        }),
      retrieve: (jobId) => Effect.sync(() => end(jobId, false)),
      cancel: (jobId) => Effect.sync(() => end(jobId, true)),
      find: (id) =>
        Effect.sync(() =>
          jobs.some(({ submissionId }) => submissionId === id)
            ? { _tag: "Found", jobId: idOf(id) }
            : { _tag: "Absent" }
        ),
      retention: { stored: Duration.days(30), unstored: Duration.days(30) }
    }
  })
  return {
    ...scripted,
    layer: Layer.fresh(Providers.layer({ a: named("a"), b: named("b") })),
    started: () => jobs.map(({ model }) => model),
    mostRunning: () => most
  }
})

/**
 * A store that answers no more from one append on, as a process that is stopped: an even number of steps stops it before
 * it writes, an odd one after. `wake` lets it fail instead, so that the process comes to its end.
 */
const stopping = (memory: SessionStore.SessionStore["Service"], steps: number) => {
  const woken = Deferred.makeUnsafe<never, SessionStoreError.SessionStoreError>()
  const stopped = Deferred.await(woken)
  let appends = 0
  let isStopped = false
  const store = SessionStore.SessionStore.of({
    ...memory,
    load: (key) => Effect.suspend(() => isStopped ? stopped : memory.load(key)),
    append: (key, entry, expected) =>
      Effect.suspend(() => {
        if (isStopped) return stopped
        if (appends++ !== Math.floor(steps / 2)) return memory.append(key, entry, expected)
        isStopped = true
        return steps % 2 === 0 ? stopped : Effect.andThen(memory.append(key, entry, expected), stopped)
      })
  })
  return {
    store,
    isStopped: () => isStopped,
    wake: Deferred.fail(woken, new SessionStoreError.StoreUnavailable({ operation: "append", message: "Gone" }))
  }
}
