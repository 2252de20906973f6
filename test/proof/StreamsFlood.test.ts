import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Children from "../fixtures/proof/Children.ts"
import * as Flood from "../fixtures/proof/StreamsFlood.ts"

describe("a long answer", () => {
  it.layer(Children.layerProgram, { excludeTestServices: true })((it) => {
    it.effect("takes no more memory than its text, which is kept twice, and is sent no faster than it is read", () =>
      Effect.gen(function*() {
        const { ahead, growth, isWhole } = yield* Flood.readSlowly(10, 4)
        yield* Effect.sync(() =>
          process.stdout.write(`slow reader: ${JSON.stringify({ ahead, last: growth.at(-1) })}\n`)
        )

        assert.isTrue(isWhole)
        assert.isAtLeast(growth.length, 8)
        assert.deepStrictEqual(growth.filter(({ bytes, characters }) => bytes > Flood.allowed(characters)), [])
        assert.isBelow(ahead, Flood.mostAhead)
      }))
  })
})
