import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Stream } from "effect"
import { Session } from "holdfast"
import { appendFileSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SessionStoreFile from "../../../src/services/SessionStoreFile.ts"
import * as SessionSamples from "../../../src/testing/internal/SessionSamples.ts"

describe("JournalFacts", () => {
  it.live("tells settled sessions from others, and those that may have a job from those that do not", () =>
    Effect.gen(function*() {
      const { store } = yield* opened
      yield* fill(store)

      assert.sameMembers(yield* unsettled(store), [
        "suite:never sent",
        "suite:of unknown fate",
        "suite:running",
        "suite:ended",
        "suite:running another job, one of unknown fate",
        "suite:settled, one of unknown fate",
        "suite:settled, with a surplus job",
        "suite:settled, with another surplus job",
        "suite:settled, with a late surplus job"
      ])
      assert.sameMembers(yield* ofJob(store, "resp_9"), [
        "suite:never sent",
        "suite:of unknown fate",
        "suite:running another job, one of unknown fate",
        "suite:settled, one of unknown fate"
      ])
      assert.includeMembers(yield* ofJob(store, "resp_1"), ["suite:running", "suite:settled", "suite:ended"])
    }))

  it.live("reads each file once, and again when it has changed", () =>
    Effect.gen(function*() {
      const { directory, opens, store } = yield* opened
      yield* fill(store)
      age(directory)
      const countOf = Effect.fnUntraced(function*(effect: Effect.Effect<unknown, unknown>) {
        const before = opens()
        yield* effect
        return opens() - before
      })
      const files = Object.keys(SessionSamples.lives("resp_1")).length
      const first = yield* countOf(unsettled(store))
      const second = yield* countOf(Effect.all([unsettled(store), ofJob(store, "resp_1"), ofJob(store, "resp_2")]))
      const { version } = yield* store.load("suite:running")
      const accepted = Session.Accepted.make({ at: 1, submissionId: "a", jobId: "resp_2" })
      yield* store.append("suite:running", accepted, version)
      const changed = yield* countOf(ofJob(store, "resp_2"))

      assert.deepStrictEqual([first, second, changed], [files, 0, 1])
      assert.include(yield* ofJob(store, "resp_2"), "suite:running")
    }))

  it.live("does not trust that a file which was just written stays as it is", () =>
    Effect.gen(function*() {
      const { opens, store } = yield* opened
      yield* fill(store)
      yield* unsettled(store)
      const before = opens()
      yield* unsettled(store)

      assert.strictEqual(opens() - before, Object.keys(SessionSamples.lives("resp_1")).length)
    }))

  it.live("forgets a removed session, and finds the one that was made after it", () =>
    Effect.gen(function*() {
      const { directory, store } = yield* opened
      yield* fill(store)
      age(directory)
      yield* unsettled(store)
      yield* store.remove("suite:settled", (yield* store.load("suite:settled")).version)
      const removed = yield* ofJob(store, "resp_1")
      yield* store.append("suite:settled", Session.Prepared.make({ at: 1, fingerprint: "f" }), Session.noVersion)

      assert.notInclude(removed, "suite:settled")
      assert.include(yield* unsettled(store), "suite:settled")
    }))

  it.live("counts a damaged file among those that may have any job", () =>
    Effect.gen(function*() {
      const { directory, store } = yield* opened
      yield* fill(store)
      const name = readdirSync(directory).find((name) => name.includes("ended")) ?? ""
      appendFileSync(join(directory, name), "damage\n")

      assert.include(yield* ofJob(store, "resp_9"), "suite:ended")
      assert.include(yield* unsettled(store), "suite:ended")
    }))
})

type Store = Effect.Success<ReturnType<typeof SessionStoreFile.make>>

const unsettled = (store: Store) => Stream.runCollect(store.listUnsettled ?? Stream.die("missing"))

const ofJob = (store: Store, job: string) => Stream.runCollect(store.listForJob?.(job) ?? Stream.die("missing"))

const fill = Effect.fnUntraced(function*(store: Store) {
  for (const [key, entries] of Object.entries(SessionSamples.lives("resp_1"))) {
    let version = Session.noVersion
    for (const entry of entries) version = yield* store.append(key, entry, version)
  }
})

/** Has all files of a folder written a minute ago. */
const age = (directory: string) => {
  const before = Date.now() / 1000 - 60
  for (const name of readdirSync(directory)) utimesSync(join(directory, name), before, before)
}

/** A store in a new folder, and how many files it has opened. */
const opened = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-facts-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const fs = yield* FileSystem.FileSystem
  let opens = 0
  const open: FileSystem.FileSystem["open"] = (...args) => {
    opens++
    return fs.open(...args)
  }
  const store = yield* Effect.provideService(
    SessionStoreFile.make({ directory }),
    FileSystem.FileSystem,
    { ...fs, open }
  )
  return { directory, opens: () => opens, store }
}).pipe(Effect.provide(NodeServices.layer))
