import { assert, describe, it } from "@effect/vitest"
import * as HostFaults from "../fixtures/proof/HostFaults.ts"
import { Effect } from "effect"

describe("answers as hosts and gateways were seen to give them", () => {
  it.layer(HostFaults.layer, { excludeTestServices: true })((it) => {
    it.effect.each(HostFaults.cases)(
      "$name: the answer is right, paid once, and settled as it was streamed",
      (played) =>
        Effect.gen(function*() {
          const wrong = yield* HostFaults.play(played)

          assert.lengthOf(wrong, 0, wrong.join("\n"))
        })
    )
  })
})
