import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Postgres from "../fixtures/Postgres.ts"
import * as Children from "../fixtures/proof/Children.ts"
import { promptOf, type StoreAt } from "../fixtures/proof/Job.ts"
import * as Seed from "../fixtures/proof/Seed.ts"
import * as Watch from "../fixtures/proof/StreamsWatch.ts"

describe("a stream", () => {
  it.layer(Watch.layer, {
    excludeTestServices: true,
    concurrent: true
  })("of a background job", (it) => {
    it.effect("is told in full by the next process when its own is killed, on files", () =>
      Effect.gen(function*() {
        const program = yield* Children.Program

        yield* killed({ _tag: "File", directory: program.folder("streams") })
      }))

    it.effect("is told in full by the next process when its own is killed, in PostgreSQL", () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.Postgres

        yield* killed({ _tag: "Postgres", url })
      }).pipe(Effect.provide(Postgres.layer)))

    it.effect("tells two processes that watch one store the same text", () =>
      Effect.gen(function*() {
        const program = yield* Children.Program
        const { next, seed } = yield* Seed.current
        const { resumed, uncertain, wrong } = yield* Watch.play({
          store: { _tag: "File", directory: program.folder("streams") },
          name: "two",
          sessions: 8,
          processes: 2,
          rounds: 0,
          next
        })

        assert.deepStrictEqual(wrong, [], `seed ${seed}`)
        assert.strictEqual(uncertain, 0)
        assert.strictEqual(resumed, 8)
      }))

    it.effect("tells all who watch in one process the same text, whenever they come", () =>
      Effect.gen(function*() {
        const program = yield* Children.Program
        const store: StoreAt = { _tag: "File", directory: program.folder("streams") }
        const { jobs, submissions, texts } = yield* Watch.together(store, "together")

        const answer = Watch.answerTo(promptOf("together"))
        assert.deepStrictEqual(texts, Array(5).fill(answer))
        assert.strictEqual(submissions.length, 1)
        assert.deepStrictEqual(jobs.map(({ polls, streams }) => ({ polls, streams })), [{ polls: 0, streams: [] }])
      }))
  })
})

const killed = Effect.fnUntraced(function*(store: StoreAt) {
  const { next, seed } = yield* Seed.current
  const { wrong, ...counts } = yield* Watch.play({
    store,
    name: store._tag,
    sessions: 12,
    processes: 1,
    rounds: 2,
    next
  })
  yield* Effect.sync(() =>
    process.stdout.write(`killed streams, ${store._tag}, seed ${seed}: ${JSON.stringify(counts)}\n`)
  )

  assert.deepStrictEqual(wrong, [], `seed ${seed}`)
  assert.isAbove(counts.kills, 0)
  assert.isAbove(counts.resumed, 0)
})
