import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Result, Stream } from "effect"
import { VersionConflict } from "../../src/errors/SessionStoreError.ts"
import * as Session from "../../src/services/Session.ts"
import * as SessionStore from "../../src/services/SessionStore.ts"
import * as SessionStoreSuite from "../../src/testing/SessionStoreSuite.ts"

describe("SessionStore", () => {
  describe("layerMemory", () => {
    for (const { name, run } of SessionStoreSuite.cases) {
      it.effect(name, () => Effect.provide(run, SessionStore.layerMemory))
    }

    it.effect("keeps the journals of two stores apart", () =>
      Effect.gen(function*() {
        const one = yield* SessionStore.makeMemory
        const two = yield* SessionStore.makeMemory
        yield* one.append("key", prepared, Session.noVersion)

        assert.strictEqual((yield* two.load("key")).version, Session.noVersion)
      }))
  })

  describe("layerFileSystem", () => {
    for (const { name, run } of SessionStoreSuite.cases) {
      it.effect(
        name,
        () => withDirectory((directory) => Effect.provide(run, SessionStore.layerFileSystem({ directory })))
      )
    }

    for (const [index, { name }] of SessionStoreSuite.sharedCases(SessionStore.layerMemory).entries()) {
      it.effect(
        name,
        () =>
          withDirectory((directory) =>
            SessionStoreSuite.sharedCases(SessionStore.layerFileSystem({ directory }))[index]!.run
          )
      )
    }
  })

  describe("SessionStoreSuite", () => {
    it.effect("finds a store that compares nothing", () =>
      Effect.gen(function*() {
        const failed = yield* failedCases((store) => ({
          ...store,
          append: (key, entry) => Effect.flatMap(store.load(key), ({ version }) => store.append(key, entry, version))
        }))

        assert.includeMembers(failed, [
          "refuses an append at an earlier version",
          "refuses to make a session that exists",
          "lets exactly one of 32 appends at the same version win"
        ])
      }))

    it.effect("finds a store that gives versions without an incarnation", () =>
      Effect.gen(function*() {
        const failed = yield* failedCases((store) => {
          const bare = (version: Session.Version) => version.replace(/^\d+\./, "") as Session.Version
          return {
            ...store,
            load: (key) => Effect.map(store.load(key), (journal) => ({ ...journal, version: bare(journal.version) })),
            append: Effect.fnUntraced(function*(key, entry, expected) {
              const { version } = yield* store.load(key)
              if (bare(version) !== expected) return yield* new VersionConflict({ message: "conflict" })
              return bare(yield* store.append(key, entry, version))
            }),
            remove: Effect.fnUntraced(function*(key, expected) {
              const { version } = yield* store.load(key)
              if (bare(version) !== expected) return yield* new VersionConflict({ message: "conflict" })
              yield* store.remove(key, version)
            })
          }
        })

        assert.includeMembers(failed, ["refuses the versions of a session that was removed and made again"])
      }))

    it.effect("finds a store that folds the case of its keys", () =>
      Effect.gen(function*() {
        const failed = yield* failedCases((store) => ({
          ...store,
          load: (key) => store.load(key.toLowerCase()),
          append: (key, entry, expected) => store.append(key.toLowerCase(), entry, expected),
          remove: (key, expected) => store.remove(key.toLowerCase(), expected)
        }))

        assert.deepStrictEqual(failed, ["keeps odd keys apart"])
      }))

    it.effect.each([
      { what: "do not change", versions: ["same", "same"] },
      { what: "change without a change of the session", versions: ["first", "second"] }
    ])("finds a store whose versions $what", ({ versions }) =>
      Effect.gen(function*() {
        const failed = yield* failedCases((store) => {
          let questions = 0
          return {
            ...store,
            versions: (keys) =>
              Effect.map(store.versions?.(keys) ?? Effect.succeed(new Map<string, string>()), (found) => {
                const version = versions[Math.min(questions++, 1)] ?? ""
                return new Map([...found.keys()].map((key) => [key, version]))
              })
          }
        })

        assert.deepStrictEqual(failed, ["gives a session another version after each change, where it has versions"])
      }))

    it.effect("finds a store that lists what was removed", () =>
      Effect.gen(function*() {
        const failed = yield* failedCases((store) => {
          const keys = new Set<string>()
          return {
            ...store,
            append: (key, entry, expected) => {
              keys.add(key)
              return store.append(key, entry, expected)
            },
            list: Stream.suspend(() => Stream.fromIterable([...keys]))
          }
        })

        assert.deepStrictEqual(failed, ["lists the sessions that exist"])
      }))
  })
})

const prepared = Session.Prepared.make({ at: 1, fingerprint: "f" })

const withDirectory = Effect.fnUntraced(
  function*<A, E, R>(use: (directory: string) => Effect.Effect<A, E, R>) {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped({ prefix: "holdfast-store-" }))
  },
  Effect.scoped,
  Effect.provide(NodeServices.layer)
)

type Store = SessionStore.SessionStore["Service"]

/** The names of the cases that fail for a memory store with this fault. */
const failedCases = Effect.fnUntraced(function*(fault: (store: Store) => Store) {
  const failed: Array<string> = []
  for (const { name, run } of SessionStoreSuite.cases) {
    const store = fault(yield* SessionStore.makeMemory)
    const result = yield* Effect.result(Effect.provideContext(run, Context.make(SessionStore.SessionStore, store)))
    if (Result.isFailure(result)) failed.push(name)
  }
  return failed
})
