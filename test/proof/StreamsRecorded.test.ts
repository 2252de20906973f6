import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"
import { collect, judge, requestOf } from "../fixtures/proof/StreamsCuts.ts"
import { type Recorded, recordings, serve } from "../fixtures/proof/StreamsRecorded.ts"

const recorded = recordings()

describe.skipIf(recorded.length === 0)("recorded background streams (needs HOLDFAST_RECORDINGS)", () => {
  it.effect("are there", () =>
    Effect.sync(() => {
      assert.isAtLeast(recorded.length, 3)
      assert.isTrue(recorded.every(({ content, tail, whole }) => content !== "" && tail.length < whole.length))
    }))

  it.live.each(recorded)("are told in full when they are cut and go on as $file did", (one) =>
    Effect.gen(function*() {
      const { length } = one.whole
      // Each event of the short one, and some of the long ones.
      const step = Math.ceil(length / 24)
      for (let after = 1; after < length; after += step) {
        const { asked, told } = yield* replay(one, [after, Math.ceil((length - after) / 2)])

        assert.deepStrictEqual(judge(told, one.content), [], `cut after ${after}`)
        assert.isUndefined(told.error)
        assert.strictEqual(asked.submissions, 1)
        assert.isNotEmpty(asked.startingAfter)
        assert.isBelow(asked.startingAfter[0]!, after)
        const last = told.events.at(-1)
        assert.strictEqual(last?._tag === "Completed" ? last.response.responseId : "", one.id)
      }
    }))
})

const replay = Effect.fnUntraced(function*(one: Recorded, cuts: ReadonlyArray<number>) {
  const { asked, baseUrl } = yield* serve(one, cuts)
  const holdfast = yield* Layer.build(Layer.fresh(
    Holdfast.layer.pipe(Layer.provide([
      SessionStore.layerMemory,
      Providers.layer({ openai: { baseUrl, apiKey: Redacted.make("recorded") } })
    ]))
  ))
  const told = yield* Effect.provide(
    Effect.flatMap(Holdfast.Holdfast, ({ stream }) => collect(stream(requestOf("recorded")))),
    holdfast
  )
  return { asked, told }
}, Effect.scoped)
