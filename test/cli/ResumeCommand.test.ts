import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { inFolder } from "./CommandRunner.ts"

describe("holdfast resume", () => {
  it.live("takes all sessions to their ends, and fails when one does", () =>
    inFolder(
      { script: [{ on: "responses.create", times: 3, do: { _tag: "Job", outcome: "stuck-queued" } }] },
      ({ run, simulator }) =>
        Effect.gen(function*() {
          for (const session of ["one", "two", "three"]) {
            yield* run(["run", "-s", session, "--deadline", "1s", "Hello"])
          }
          const [one, two, three] = (yield* simulator.ledger).jobs.map((job) => job.id)
          yield* simulator.finish(one ?? "")
          yield* simulator.finish(two ?? "")
          yield* simulator.fail(three ?? "", { code: "invalid_prompt", message: "not this" })
          const all = yield* run(["resume", "--all", "--json"])
          const again = yield* run(["resume", "--all"])

          assert.strictEqual(all.code, 2)
          assert.containSubset(JSON.parse(all.stdout), [
            { session: "one", answer: { responseId: one } },
            { session: "two", answer: { responseId: two } },
            { session: "three", error: { _tag: "NonRetryable", reason: { _tag: "JobFailed" } } }
          ])
          assert.strictEqual(again.code, 0)
          assert.match(again.stderr, /No session in .* waits for a job/)
        })
    ))

  it.live("wants one session, or --all", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const neither = yield* run(["resume"])
        const both = yield* run(["resume", "--all", "one"])

        assert.deepStrictEqual([neither.code, both.code], [1, 1])
        assert.include(neither.stderr, "Name the session to resume, or say --all")
      })))
})
