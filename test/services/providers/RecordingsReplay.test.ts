import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isDeepStrictEqual } from "node:util"
import { exchanges, expected, files, folder } from "../../fixtures/recordings/Expectations.ts"
import { layer, Replay } from "../../fixtures/recordings/Replay.ts"

describe.skipIf(folder === undefined)("recorded exchanges (HOLDFAST_RECORDINGS), over HTTP", () => {
  it("all have a meaning, or a reason why no call gets them", () => {
    assert.deepStrictEqual(Object.keys(expected).sort(), files())
    for (const [file, meanings] of Object.entries(expected)) {
      assert.deepStrictEqual(
        meanings.flatMap(({ at }) => at).sort((a, b) => a - b),
        exchanges(file).map((_, index) => index),
        file
      )
      for (const { answer, error, other } of meanings) {
        assert.lengthOf([answer, error, other].filter((meaning) => meaning !== undefined), 1, file)
      }
    }
  })

  it.layer(layer, { excludeTestServices: true })((it) => {
    const played = Object.entries(expected).filter(([_, meanings]) => meanings.some(({ api }) => api !== undefined))
    it.effect.each(played)("%s", ([file, meanings]) =>
      Effect.gen(function*() {
        const { play } = yield* Replay
        for (const meaning of meanings) {
          const played = yield* play(file, meaning)
          const wrong = played.flatMap(({ observed, right, way }) =>
            isDeepStrictEqual(observed, right)
              ? []
              : [`${meaning.at.join(" ")}, ${way}: ${JSON.stringify(observed)}, right is ${JSON.stringify(right)}`]
          )

          assert.isTrue(meaning.api === undefined || played.length > 0)
          assert.lengthOf(wrong, 0, wrong.join("\n"))
        }
      }))
  })
})
