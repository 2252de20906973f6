import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as ManySessions from "../fixtures/proof/ManySessions.ts"

describe("2,000 sessions in one folder", { timeout: 60_000 }, () => {
  it.live("are listed, loaded, appended to and pruned", () =>
    Effect.gen(function*() {
      const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "holdfast-many-" })
      const { wrong, ...measured } = yield* ManySessions.play({ directory, sessions: 2000, samples: 50 })

      assert.deepStrictEqual(wrong, [])
      // Far above what a laptop needs, and far below what a pass over all files for each key would take.
      assert.isBelow(measured.load, 20)
      assert.isBelow(measured.append, 100)
      assert.isBelow(measured.listHeap, 100)
      assert.isBelow(measured.pruneHeap, 200)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
})
