import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, FileSystem, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Holdfast, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { join } from "node:path"
import * as UnpluggedFileSystem from "../fixtures/UnpluggedFileSystem.ts"

// Stops the main job at the n-th operation on its files, takes away all that was not synced by then, and runs it again.
describe("a power loss at the n-th operation on the files", () => {
  it.effect("leaves at most one submission, and a job that was polled is found again", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      let losses = 0
      while (true) {
        const parent = yield* files.makeTempDirectoryScoped({ prefix: "holdfast-power-" })
        const directory = join(parent, "a", "b")
        const unplugged = UnpluggedFileSystem.make(parent, losses + 1)
        const provider = yield* ScriptedProvider.make({
          submit: [ScriptedProvider.accepted("job-1")],
          retrieve: [ScriptedProvider.pending(), ScriptedProvider.ended(ScriptedProvider.succeeded("Paris"))]
        })
        yield* ask(directory, provider, unplugged)
        if (!unplugged.stopped()) break
        losses++
        unplugged.losePower()
        const polledBefore = provider.calls("retrieve").length > 0

        const again = yield* ask(directory, provider, UnpluggedFileSystem.make(parent, Infinity))

        const where = `after operation ${losses}`
        assert.isAtMost(provider.calls("submit").length, 1, where)
        assert.isDefined(again, where)
        if (polledBefore) assert.isTrue(again !== undefined && Exit.isSuccess(again), where)
        if (again !== undefined && Exit.isSuccess(again)) assert.strictEqual(again.value.content, "Paris", where)
      }

      yield* Effect.sync(() => process.stdout.write(`power losses: ${losses}\n`))
      assert.isAtLeast(losses, 10)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})

/** Runs the job to its end, or until its files have stopped. */
const ask = Effect.fnUntraced(function*(
  directory: string,
  provider: ScriptedProvider.ScriptedProvider,
  { isBusy, layer, stopped }: UnpluggedFileSystem.Unplugged
) {
  const fiber = yield* Effect.forkDetach(
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
  while (fiber.pollUnsafe() === undefined && !stopped()) {
    yield* TestClock.withLive(Effect.sleep("1 millis"))
    if (!isBusy()) yield* TestClock.adjust("2 seconds")
  }
  if (stopped()) {
    yield* TestClock.withLive(Effect.sleep("5 millis"))
    return undefined
  }
  return yield* Fiber.await(fiber)
})
