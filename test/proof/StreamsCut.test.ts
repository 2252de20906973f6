import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Holdfast } from "holdfast"
import { Simulator } from "holdfast/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Postgres from "../fixtures/Postgres.ts"
import { layerStore, type StoreAt } from "../fixtures/proof/Job.ts"
import * as Seed from "../fixtures/proof/Seed.ts"
import * as Cuts from "../fixtures/proof/StreamsCuts.ts"

describe("the stream of a background job", () => {
  it.layer(Cuts.layerSimulator, { excludeTestServices: true })("tells the whole answer once, in order", (it) => {
    it.effect.each(["gpt-4o", "gpt-5"])("when it is cut at any event, with %s", (model) =>
      Effect.gen(function*() {
        const scenes = yield* Cuts.singles(undefined, model)
        const { reopened, wrong } = yield* Cuts.play(scenes)

        assert.deepStrictEqual(wrong, [])
        assert.isAtLeast(reopened, scenes.length)
      }))

    it.effect("when it is cut at any event, and again", () =>
      Effect.gen(function*() {
        const { next, seed } = yield* Seed.current
        const scenes = shuffled(yield* Cuts.pairs(), next).slice(0, samples)
        const { reopened, wrong } = yield* Cuts.play(scenes)

        assert.deepStrictEqual(wrong, [], `seed ${seed}`)
        assert.isAtLeast(reopened, scenes.length)
      }))

    it.effect("when a gateway invents its failure after any event, and again", () =>
      Effect.gen(function*() {
        const scenes = (yield* Cuts.singles(["invented failure"])).map(({ cuts }): Cuts.Scene => ({
          cuts: [...cuts, { after: 1, how: "invented failure" }]
        }))
        const { reopened, wrong } = yield* Cuts.play(scenes)

        assert.deepStrictEqual(wrong, [])
        assert.isAtLeast(reopened, scenes.length)
      }))

    it.effect("when comments come for longer than its idle limit after any event", () =>
      Effect.gen(function*() {
        const { reopened, wrong } = yield* Cuts.play(yield* Cuts.singles(["comments"]))

        assert.deepStrictEqual(wrong, [])
        assert.strictEqual(reopened, 0)
      }))

    it.effect("when it falls silent after any event", () =>
      Effect.gen(function*() {
        const scenes = (yield* Cuts.singles(["stall"])).map(({ cuts }): Cuts.Scene => ({
          cuts: [...cuts, { after: 1, how: "stall" }]
        }))
        const { reopened, wrong } = yield* Cuts.play(scenes)

        assert.deepStrictEqual(wrong, [])
        assert.isAtLeast(reopened, scenes.length)
      }))

    it.effect("when it is cut at any event or falls silent after it, with its session in files", () =>
      Effect.gen(function*() {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-streams-"))),
          (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
        )

        yield* cutAndStalled({ _tag: "File", directory })
      }))

    it.effect("when it is cut at any event or falls silent after it, with its session in PostgreSQL", () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.Postgres

        yield* cutAndStalled({ _tag: "Postgres", url })
      }).pipe(Effect.provide(Postgres.layer)))

    it.effect("or nothing when it is cut before its first event, as nobody knows whether there is a job", () =>
      Effect.gen(function*() {
        const simulator = yield* Simulator.Simulator
        for (const onUncertainSubmit of ["fail", "resubmit"] as const) {
          yield* simulator.reset
          yield* simulator.script([{ on: "responses.create", do: { _tag: "CutStream", after: 0, how: "end" } }])
          const { error, events } = yield* Effect.provide(
            Cuts.collect(Holdfast.stream({ ...Cuts.requestOf("uncertain"), onUncertainSubmit })),
            Cuts.layerWorld(simulator),
            { local: true }
          )
          const { submissions } = yield* simulator.ledger

          if (onUncertainSubmit === "fail") {
            assert.deepStrictEqual(events, [])
            assert.strictEqual(error?._tag === "NonRetryable" ? error.reason._tag : error, "SubmissionUncertain")
          } else assert.deepStrictEqual(Cuts.judge({ error, events }), [])
          assert.strictEqual(submissions.length, onUncertainSubmit === "fail" ? 1 : 2)
        }
      }))

    it.effect("when it is cut and the next poll finds the job ended", () =>
      Effect.gen(function*() {
        const scenes = (yield* Cuts.singles()).map((scene): Cuts.Scene => ({ ...scene, polls: 1 }))
        const { reopened, wrong } = yield* Cuts.play(scenes)

        assert.deepStrictEqual(wrong, [])
        assert.strictEqual(reopened, 0)
      }))
  })

  it.layer(Cuts.layerClosed, { excludeTestServices: true })("that cannot be opened again", (it) => {
    it.effect("is given up after one attempt, and the polls give the missing rest", () =>
      Effect.gen(function*() {
        const simulator = yield* Simulator.Simulator
        const scenes = yield* Cuts.singles()
        const { reopened, wrong } = yield* Cuts.play(scenes)
        const { jobs, requests } = yield* simulator.ledger

        assert.deepStrictEqual(wrong, [])
        assert.strictEqual(reopened, 0)
        assert.strictEqual(requests["responses.stream"], scenes.length)
        assert.deepStrictEqual(jobs.map(({ polls }) => polls), scenes.map(() => 3))
      }))
  })
})

const cutAndStalled = Effect.fnUntraced(function*(store: StoreAt) {
  const scenes = yield* Cuts.singles(["end", "reset", "stall"])
  const { reopened, wrong } = yield* Cuts.play(scenes, layerStore(store))

  assert.deepStrictEqual(wrong, [])
  assert.isAtLeast(reopened, scenes.length)
})

/** How many of all pairs of cuts are tried here; `scripts/proof/streams.ts` tries them all. */
const samples = 100

const shuffled = <A>(items: ReadonlyArray<A>, next: () => number): ReadonlyArray<A> =>
  items.map((item) => ({ item, at: next() })).sort((one, other) => one.at - other.at).map(({ item }) => item)
