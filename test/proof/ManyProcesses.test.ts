import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { Session, Sessions } from "holdfast"
import type { Simulator } from "holdfast/testing"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import * as SessionStoreFile from "../../src/services/SessionStoreFile.ts"
import * as Postgres from "../fixtures/Postgres.ts"
import * as Children from "../fixtures/proof/Children.ts"
import * as Horde from "../fixtures/proof/Horde.ts"
import { layerFiles, type Outcome, type StoreAt } from "../fixtures/proof/Job.ts"
import * as Pauses from "../fixtures/proof/Pauses.ts"
import * as Seed from "../fixtures/proof/Seed.ts"

describe("many processes on one store", () => {
  it.layer(Layer.mergeAll(Children.layerProgram, Horde.layerSimulator), {
    excludeTestServices: true
  })((it) => {
    it.effect("settle each key once while they are killed and stopped, on files", () =>
      Effect.gen(function*() {
        const program = yield* Children.Program

        yield* shortForm({ _tag: "File", directory: program.folder("horde") })
      }))

    it.effect("settle each key once while they are killed and stopped, in SQLite", () =>
      Effect.gen(function*() {
        const program = yield* Children.Program

        yield* shortForm({ _tag: "Sqlite", filename: join(program.folder("horde"), "sessions.db") })
      }))

    it.effect("settle each key once while they are killed and stopped, in PostgreSQL", () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.Postgres

        yield* shortForm({ _tag: "Postgres", url })
      }).pipe(Effect.provide(Postgres.layer)))

    it.effect("cannot append at a version that was passed while its own append came to an end, on files", () =>
      Effect.gen(function*() {
        const program = yield* Children.Program
        const directory = program.folder("passed")
        const files = yield* FileSystem.FileSystem
        const one = yield* SessionStoreFile.make({ directory })
        // The other process appends between the sync of the first one's append and its look at the file.
        let meanwhile: Effect.Effect<unknown> = Effect.void
        const other = yield* SessionStoreFile.make({ directory }).pipe(
          Effect.provideService(FileSystem.FileSystem, {
            ...files,
            stat: (path) =>
              Effect.suspend(() => {
                const now = meanwhile
                meanwhile = Effect.void
                return Effect.andThen(now, files.stat(path))
              })
          })
        )
        const entry = (fingerprint: string) => Session.Prepared.make({ at: 1, fingerprint })
        meanwhile = Effect.orDie(
          Effect.flatMap(one.load("key"), ({ version }) => one.append("key", entry("second"), version))
        )
        const first = yield* other.append("key", entry("first"), Session.noVersion)
        const late = yield* Effect.flip(other.append("key", entry("third"), first))
        const { entries } = yield* one.load("key")

        assert.strictEqual(late._tag, "VersionConflict")
        assert.deepStrictEqual(
          entries.map((entry) => entry._tag === "Prepared" && entry.fingerprint),
          ["first", "second"]
        )
      }).pipe(Effect.scoped, Effect.provide(layerFiles)))

    // Each of them waits, most of its time, for the submission of a process that is stopped.
    it.layer(Layer.empty, { concurrent: true })(
      "and cancel the surplus job of a submitter that was stopped for too long",
      (it) => {
        it.effect.each(
          [
            ["when it has read the provider's answer", "submit: after"],
            ["before the job's id is in the journal", "append Accepted: before"],
            ["when the job's id is in the journal", "append Accepted: after"]
          ] as const
        )("%s", ([, at]) =>
          Effect.gen(function*() {
            const program = yield* Children.Program
            const store: StoreAt = { _tag: "File", directory: program.folder("stopped") }
            const { after, before, jobs, outcomes } = yield* Horde.comeBack(store, `stopped at ${at}`, at)

            if (at === "append Accepted: after") {
              // Nothing was uncertain: the other process has waited for the same job.
              assert.deepStrictEqual(before.submissions.map(({ state }) => state), ["accepted"])
              assert.strictEqual(jobs.length, 1)
            } else {
              assert.deepStrictEqual(before.submissions.map(({ state }) => state), ["open", "accepted"])
              assertSurplus(after, jobs)
            }
            assert.deepStrictEqual(outcomes.map(idOf), outcomes.map(() => jobs.at(-1)?.id))
            assert.strictEqual(outcomes.length, 2)
          }))

        it.effect("while its answer was on its way", () =>
          Effect.gen(function*() {
            const program = yield* Children.Program
            const store: StoreAt = { _tag: "File", directory: program.folder("stopped") }
            const { after, before, jobs, outcomes } = yield* Horde.comeBack(store, "stopped on the way")

            assert.deepStrictEqual(before.submissions.map(({ state }) => state), ["open", "accepted"])
            assertSurplus(after, jobs)
            assert.deepStrictEqual(outcomes.map(idOf), [jobs[1]?.id, jobs[1]?.id])
          }))
      }
    )
  })
})

const assertSurplus = (info: Sessions.SessionInfo, jobs: ReadonlyArray<Simulator.Job>): void => {
  assert.strictEqual(info.status, "answered")
  assert.deepStrictEqual(
    info.submissions.map(({ cancelRequested, jobId, state }) => ({ cancelRequested, jobId, state })),
    [
      { cancelRequested: true, jobId: jobs[0]?.id, state: "surplus" },
      { cancelRequested: false, jobId: jobs[1]?.id, state: "accepted" }
    ]
  )
  assert.deepStrictEqual(
    jobs.map(({ cancels, status }) => ({ cancels, status })),
    [{ cancels: 1, status: "cancelled" }, { cancels: 0, status: "completed" }]
  )
}

const idOf = (outcome: Outcome): string | undefined => outcome._tag === "Answered" ? outcome.responseId : outcome.reason

const shortForm = Effect.fnUntraced(function*(store: StoreAt) {
  const { next, seed } = yield* Seed.current
  // All fail to submit in time while the provider is stopped, as it is with this process.
  const { wrong, ...counts } = yield* Pauses.undisturbed(
    300,
    Effect.suspend(() =>
      Horde.play({
        store,
        name: `${store._tag} ${randomUUID()}`,
        processes: 4,
        keys: 30,
        millis: 2500,
        next
      })
    ),
    5
  )
  yield* Effect.sync(() =>
    process.stdout.write(`many processes, ${store._tag}, seed ${seed}: ${JSON.stringify(counts)}\n`)
  )

  assert.deepStrictEqual(wrong, [])
  assert.isAbove(counts.kills + counts.stops, 0)
})
