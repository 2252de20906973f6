import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { layerSimulator } from "../fixtures/proof/StreamsCuts.ts"
import * as Pauses from "../fixtures/proof/Pauses.ts"
import * as Held from "../fixtures/proof/StreamsHeld.ts"

describe("the stream of a held call", () => {
  it.layer(layerSimulator, { excludeTestServices: true })((it) => {
    it.effect.each(Held.protocols)(
      "of %s is made again before its first delta, and interrupted after it, wherever it is cut",
      (protocol) =>
        Effect.gen(function*() {
          const shape = yield* Held.shapeOf(protocol)
          for (const how of ["end", "reset"] as const) {
            const cases = yield* Held.play(protocol, (after) => ({ _tag: "CutStream", after, how }), {
              upTo: shape.length
            })

            assert.deepStrictEqual(
              cases.map(Held.brief),
              cases.map(({ after }) => {
                if (after <= shape.firstDelta) return "answer, attempt 2"
                return after > shape.end && isEnough(protocol) ? "answer, attempt 1" : "interrupted"
              }),
              how
            )
          }
        })
    )

    it.effect.each(Held.protocols)("of %s ends with what an error in it says", (protocol) =>
      Effect.gen(function*() {
        const shape = yield* Held.shapeOf(protocol)
        const cases = yield* Held.play(protocol, (after) => ({ _tag: "StreamError", after, error: "overloaded" }), {
          upTo: shape.lastDelta
        })
        const refused = yield* Held.play(
          protocol,
          (after) => ({ _tag: "StreamError", after, error: "authentication" }),
          { upTo: shape.lastDelta }
        )

        assert.deepStrictEqual(
          cases.map(Held.brief),
          cases.map(({ after }) => after <= shape.firstDelta ? "answer, attempt 2" : "interrupted")
        )
        assert.deepStrictEqual(
          refused.map(Held.brief),
          refused.map(() => "NonRetryable AuthenticationFailed")
        )
      }))

    it.effect.each(Held.protocols)("of %s is given up when it stalls", (protocol) =>
      Effect.gen(function*() {
        const shape = yield* Held.shapeOf(protocol)
        const cases = yield* Pauses.undisturbed(
          200,
          Held.play(protocol, (after) => ({ _tag: "StallStream", after }), {
            upTo: shape.end,
            request: { streamTimeouts: { firstEvent: "1 second", idle: "400 millis" } }
          })
        )

        assert.deepStrictEqual(
          cases.map(Held.brief),
          cases.map(({ after }) => after <= shape.firstDelta ? "answer, attempt 2" : "interrupted")
        )
      }))
  })
})

// The event after the finish reason or stop reason says nothing more.
const isEnough = (protocol: Held.Protocol): boolean => protocol !== "Responses"
