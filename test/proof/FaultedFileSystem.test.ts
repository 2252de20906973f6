import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, FileSystem, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Holdfast, Session, SessionStore, type StrategyError } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { join } from "node:path"
import * as FaultedFileSystem from "../fixtures/FaultedFileSystem.ts"

// Runs the main job on a file system whose n-th operation goes wrong, for n = 1, 2, 3 … until a run meets no fault,
// and looks after each at what is left, with a file system that works.
describe("a file system whose n-th operation goes wrong", () => {
  it.effect.each(
    (["fails", "fails after", "tears", "drops"] as const).flatMap((fault) => [
      { fault, forever: false },
      { fault, forever: true }
    ])
  )("keeps every claim when it $fault (and goes on so: $forever)", ({ fault, forever }) =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      let met = 0
      for (let n = 1;; n++) {
        const directory = join(yield* files.makeTempDirectoryScoped({ prefix: "holdfast-faulted-" }), "sessions")
        const faulted = FaultedFileSystem.make(fault, n, forever)
        yield* check(directory, faulted, forever, `${fault} at ${n}`)
        if (faulted.operations() < n) break
        met = n
      }

      const what = `faulted file system, ${fault}${forever ? " from the n-th operation on" : ""}`
      yield* Effect.sync(() => process.stdout.write(`${what}: ${met} runs\n`))
      assert.isAtLeast(met, 10)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})

const check = Effect.fnUntraced(function*(
  directory: string,
  faulted: FaultedFileSystem.Faulted,
  forever: boolean,
  where: string
) {
  const provider = yield* ScriptedProvider.make({
    submit: [ScriptedProvider.accepted("job-1")],
    retrieve: [ScriptedProvider.pending(), ScriptedProvider.ended(ScriptedProvider.succeeded("Paris"))]
  })

  const first = yield* ask(directory, provider, faulted)
  const sent = provider.calls("submit").length
  const journal = yield* entriesIn(directory)
  const asked = provider.calls().length
  const second = yield* ask(directory, provider, FaultedFileSystem.make("fails", Infinity, false))

  assert.isAtMost(provider.calls("submit").length, 1, `${where}: one submission`)
  if (Exit.isSuccess(first)) {
    assert.strictEqual(first.value.content, "Paris", where)
    if (first.value.settled) {
      assert.strictEqual(provider.calls().length, asked, `${where}: what is settled is returned without a request`)
    }
  } else {
    assert.include(typed, outcomeOf(first), where)
  }
  // Once what went wrong is over, the job's id is written down.
  if (!forever && sent > 0) assert.include(journal, "Accepted", where)
  if (journal.includes("Accepted") || Exit.isSuccess(first) && first.value.settled) {
    assert.isTrue(Exit.isSuccess(second) && second.value.content === "Paris", `${where}: ${outcomeOf(second)}`)
  } else if (journal.includes("Submitting")) {
    assert.include(["Paris", "NonRetryable SubmissionUncertain"], outcomeOf(second), where)
  } else {
    assert.strictEqual(sent, 0, `${where}: nothing is sent that is not journaled`)
    assert.strictEqual(outcomeOf(second), "Paris", where)
  }
})

const typed = [
  "Retryable SessionUnavailable",
  "NonRetryable SubmissionUncertain",
  "unavailable",
  "Timeout"
]

/** Runs the job to its end, whatever the store does, in time that passes as fast as the disk lets it. */
const ask = Effect.fnUntraced(function*(
  directory: string,
  provider: ScriptedProvider.ScriptedProvider,
  { isBusy, layer }: FaultedFileSystem.Faulted
) {
  const fiber = yield* Effect.forkChild(
    Holdfast.execute({ model: "test/anything", prompt: "Where?", session: "key", strategy: "background" }).pipe(
      Effect.provide(
        Holdfast.layer.pipe(
          Layer.provide(SessionStore.layerFileSystem({ directory }).pipe(Layer.provide(layer))),
          Layer.provide(provider.layer)
        )
      )
    ),
    { startImmediately: true }
  )
  while (fiber.pollUnsafe() === undefined) {
    yield* TestClock.withLive(Effect.sleep("1 millis"))
    if (!isBusy()) yield* TestClock.adjust("2 seconds")
  }
  return yield* Fiber.await(fiber)
})

const entriesIn = (directory: string) =>
  SessionStore.SessionStore.use((store) => store.load("key")).pipe(
    Effect.map(({ entries }) => entries.map((entry: Session.Entry) => entry._tag)),
    Effect.provide(SessionStore.layerFileSystem({ directory }).pipe(Layer.provide(NodeServices.layer)))
  )

const outcomeOf = (
  exit: Exit.Exit<{ readonly content: string }, StrategyError.StrategyError | { readonly _tag: string }>
): string => {
  if (Exit.isSuccess(exit)) return exit.value.content
  const reason = exit.cause.reasons[0]
  if (reason?._tag !== "Fail") return `untyped ${reason?._tag}`
  const error = reason.error
  if (error._tag === "StoreUnavailable") return "unavailable"
  return "reason" in error ? `${error._tag} ${error.reason._tag}` : error._tag
}
