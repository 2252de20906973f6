import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as HostCases from "../fixtures/proof/HostCases.ts"
import * as HostFaults from "../fixtures/proof/HostFaults.ts"

describe("answers as hosts and gateways were seen to give them", () => {
  it.layer(HostFaults.layer, { excludeTestServices: true })((it) => {
    it.effect.each(HostCases.cases)(
      "$name: the answer is right, paid once, and settled as it was streamed",
      (played) =>
        Effect.gen(function*() {
          const wrong = yield* HostFaults.play(played)

          assert.lengthOf(wrong, 0, wrong.join("\n"))
        })
    )

    it.effect.each(HostCases.ends)(
      "that is no answer ends alike in every form: %s",
      (outcome) =>
        Effect.gen(function*() {
          for (const way of HostCases.waysTo(outcome)) {
            const plain = yield* HostFaults.end(way, outcome)
            for (const form of HostCases.forms) {
              const { told, ...seen } = yield* HostFaults.end(way, outcome, form)

              assert.deepInclude(plain, seen, `${JSON.stringify(way)} ${JSON.stringify(form)}`)
              // A poll that finds the end streams nothing of it.
              assert.include(["", plain.told], told)
            }
          }
        })
    )
  })
})
