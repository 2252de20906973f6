import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as ManySessions from "../fixtures/proof/ManySessions.ts"

describe("2,000 sessions in one folder", () => {
  it.live("are listed, loaded, appended to and pruned", () =>
    Effect.gen(function*() {
      const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "holdfast-many-" })
      const { wrong, ...measured } = yield* ManySessions.play({ directory, sessions: 2000, samples: 50 })

      assert.deepStrictEqual(wrong, [])
      // However many sessions there are: one pass over the folder would take 2,000 steps.
      assert.isAtMost(measured.loadSteps, 3)
      assert.isAtMost(measured.appendSteps, 7)
      assert.isAtMost(measured.listSteps, 5)
      assert.isAtMost(measured.pruneSteps, 15)
      assert.isAtMost(measured.filesOpen, 200)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
