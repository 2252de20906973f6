import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as IdleFiles from "../../../src/services/internal/IdleFiles.ts"

describe("IdleFiles", () => {
  it.effect("closes what is left when its scope ends, and what is put in after that", () =>
    Effect.gen(function*() {
      const closed: Array<string> = []
      const scope = yield* Scope.make()
      const idle = yield* IdleFiles.make<string>(2, (file) => Effect.sync(() => closed.push(file))).pipe(
        Scope.provide(scope)
      )
      yield* idle.put("a", "first")
      yield* idle.put("b", "second")
      const used = idle.take("a")
      yield* Scope.close(scope, Exit.void)
      const atEnd = [...closed]
      yield* idle.put("a", used ?? "")

      assert.deepStrictEqual(atEnd, ["second"])
      assert.deepStrictEqual(closed, ["second", "first"])
    }))
})
