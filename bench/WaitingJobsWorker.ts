/** Has many jobs wait for their next poll, and says how many bytes of heap one takes. */
import { Duration, Effect, Layer } from "effect"
import { Holdfast, type Provider, Providers, SessionStore } from "holdfast"

const [mode = "plain", count = "20000"] = process.argv.slice(2)
const jobs = Number(count)

let polled = 0

const pending = (pollAfter: Duration.Duration): Provider.Pending => ({
  _tag: "Pending",
  status: "in_progress",
  phase: "running",
  pollAfter
})

const jobsApi: Provider.JobsApi = {
  // The first poll comes soon: most jobs that wait have been polled.
  submit: (_, { submissionId }) =>
    Effect.sync(() => ({ jobId: `resp_${sent(submissionId)}`, state: pending(Duration.millis(100)) })),
  retrieve: () =>
    Effect.sync(() => {
      polled++
      return pending(Duration.minutes(1))
    }),
  cancel: (jobId) => Effect.succeed({ _tag: "Unknown", status: jobId }),
  retention: { stored: Duration.days(30), unstored: Duration.minutes(10) }
}

const provider = (model: string): Provider.Provider => ({ name: "test", model, jobs: jobsApi })

// Ids go through JSON in both directions, which gives them their final form in memory.
const sent = (submissionId: string): string => JSON.parse(JSON.stringify({ submissionId })).submissionId

const job = (n: number) =>
  Holdfast.execute({
    model: "test/model",
    strategy: "background",
    prompt: "Compare the three contracts.",
    ...(mode === "sessions" ? { session: `contract-${n}` } : {})
  })

const sleeper = Effect.sync(() => polled++).pipe(Effect.andThen(Effect.sleep("1 hour")))

const fibers = Effect.forEach(
  Array(jobs).keys(),
  (n) => Effect.forkChild(mode === "sleep" ? sleeper : Effect.asVoid(job(n))),
  { discard: true }
)

const heapUsed = Effect.promise(async () => {
  for (let time = 0; time < 4; time++) {
    await globalThis.gc?.({ type: "major", execution: "async" })
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
})

const program = Effect.gen(function*() {
  // One of each, so that what is made once is not counted.
  yield* Effect.forkChild(job(-1))
  yield* Effect.sleep("300 millis")
  const before = yield* heapUsed
  polled = 0
  yield* fibers
  while (polled < jobs) yield* Effect.sleep("50 millis")
  yield* Effect.sleep("100 millis")
  process.send?.(((yield* heapUsed) - before) / jobs)
  return yield* Effect.never
})

const layer = Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, Providers.layer({ test: provider })]))

Effect.runFork(Effect.provide(program, layer))
