/**
 * What every `SessionStore` must do, as cases for any test framework.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { fold, noVersion, openSubmissions, type Version } from "../services/Session.ts"
import { SessionStore } from "../services/SessionStore.ts"
import { lives, oddKeys, prepared, sampleEntries } from "./internal/SessionSamples.ts"
import { appendAll, type CaseError, check, clear, conflicts, same, sameEntries } from "./internal/SuiteChecks.ts"

export {
  /**
   * What a case can fail with.
   *
   * @category errors
   * @since 0.1.0
   */
  type CaseError,
  /**
   * Error for a store that does not do what it must.
   *
   * @category errors
   * @since 0.1.0
   */
  SuiteError
} from "./internal/SuiteChecks.ts"

/**
 * One thing that a store must do.
 *
 * **Details**
 *
 * A case clears the keys that it uses before and after it runs; they begin
 * with `suite:` or are odd on purpose.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case<E = never, R = never> {
  /** A sentence in the present tense. */
  readonly name: string
  /** Fails with `SuiteError` when the store does not do it. */
  readonly run: Effect.Effect<void, CaseError | E, R>
}

type Store = SessionStore["Service"]

/** A case over one store; the keys are cleared before and after it. */
const caseOf = <const Keys extends ReadonlyArray<string>>(
  name: string,
  keys: Keys,
  run: (store: Store, keys: Keys) => Effect.Effect<void, CaseError>
): Case<never, SessionStore> => ({
  name,
  run: Effect.flatMap(SessionStore, (store) =>
    clear(store, keys).pipe(
      Effect.andThen(run(store, keys)),
      Effect.ensuring(Effect.ignore(clear(store, keys)))
    ))
})

const keysOf = (prefix: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(2, "0")}`)

/** With signs that mean something to SQL. */
const job = "resp_50%'\"\\!"

/**
 * What every store must do.
 *
 * **Example** (Running the cases with vitest)
 *
 * ```ts
 * for (const { name, run } of SessionStoreSuite.cases) {
 *   it.effect(name, () => run.pipe(Effect.provide(layerOfMyStore)))
 * }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases: ReadonlyArray<Case<never, SessionStore>> = [
  caseOf("returns an empty journal for an unknown key", ["suite:unknown"], (store, [key]) =>
    Effect.gen(function*() {
      const journal = yield* store.load(key)
      yield* same("version", journal.version, noVersion)
      yield* same("entries", journal.entries.length, 0)
    })),

  caseOf(
    "loads every kind of entry as it was appended, in order",
    ["suite:round-trip"],
    (store, [key]) =>
      Effect.gen(function*() {
        const entries = sampleEntries("résumé\u0000\u2028 \ud83d\ude80 \ud800\r\n\u001e\"\\")
        const version = yield* appendAll(store, key, entries)
        const journal = yield* store.load(key)
        yield* same("version", journal.version, version)
        yield* sameEntries(journal.entries, entries)
      })
  ),

  caseOf("keeps an answer of two million characters", ["suite:huge"], (store, [key]) =>
    Effect.gen(function*() {
      const entries = sampleEntries("0123456789 ünïcode\n".repeat(110_000)).slice(-1)
      yield* appendAll(store, key, entries)
      yield* sameEntries((yield* store.load(key)).entries, entries)
    })),

  caseOf("appends at the version that it loaded", ["suite:loaded"], (store, [key]) =>
    Effect.gen(function*() {
      yield* appendAll(store, key, [prepared("1"), prepared("2")])
      const { version } = yield* store.load(key)
      yield* store.append(key, prepared("3"), version)
      yield* sameEntries((yield* store.load(key)).entries, ["1", "2", "3"].map(prepared))
    })),

  caseOf("refuses an append at an earlier version", ["suite:stale"], (store, [key]) =>
    Effect.gen(function*() {
      const first = yield* store.append(key, prepared("1"), noVersion)
      yield* store.append(key, prepared("2"), first)
      yield* conflicts("an append", store.append(key, prepared("3"), first))
      yield* sameEntries((yield* store.load(key)).entries, ["1", "2"].map(prepared))
    })),

  caseOf("refuses to make a session that exists", ["suite:exists"], (store, [key]) =>
    Effect.gen(function*() {
      yield* store.append(key, prepared("1"), noVersion)
      yield* conflicts("an append", store.append(key, prepared("2"), noVersion))
      yield* sameEntries((yield* store.load(key)).entries, [prepared("1")])
    })),

  caseOf(
    "refuses an append to a session that does not exist",
    ["suite:other", "suite:absent"],
    (store, [other, key]) =>
      Effect.gen(function*() {
        const version = yield* store.append(other, prepared("1"), noVersion)
        yield* conflicts("an append", store.append(key, prepared("2"), version))
        yield* same("version", (yield* store.load(key)).version, noVersion)
      })
  ),

  caseOf(
    "refuses a version of another session",
    ["suite:mine", "suite:theirs"],
    (store, [mine, theirs]) =>
      Effect.gen(function*() {
        yield* store.append(mine, prepared("1"), noVersion)
        const version = yield* store.append(theirs, prepared("1"), noVersion)
        yield* conflicts("an append", store.append(mine, prepared("2"), version))
      })
  ),

  caseOf(
    "lets exactly one of 32 appends at the same version win",
    ["suite:race"],
    (store, [key]) =>
      Effect.gen(function*() {
        let version: Version = noVersion
        for (let round = 1; round <= 4; round++) {
          const expected = version
          const entries = Array.from({ length: 32 }, (_, index) => prepared(`${round}.${index}`))
          const results = yield* Effect.forEach(
            entries,
            (entry) => Effect.result(store.append(key, entry, expected)),
            { concurrency: "unbounded" }
          )
          const winners = results.flatMap((result, index) => Result.isSuccess(result) ? [index] : [])
          yield* same("number of winners", winners.length, 1)
          const journal = yield* store.load(key)
          yield* same("number of entries", journal.entries.length, round)
          yield* sameEntries(journal.entries.slice(-1), entries.filter((_, index) => index === winners[0]))
          version = journal.version
        }
      })
  ),

  caseOf(
    "keeps sessions apart that are written at once",
    keysOf("suite:many", 50),
    (store, keys) =>
      Effect.gen(function*() {
        yield* Effect.forEach(keys, (key) => appendAll(store, key, [prepared(key), prepared("2"), prepared(key)]), {
          concurrency: "unbounded",
          discard: true
        })
        for (const key of keys) {
          yield* sameEntries((yield* store.load(key)).entries, [prepared(key), prepared("2"), prepared(key)])
        }
      })
  ),

  caseOf("forgets a session that was removed", ["suite:removed"], (store, [key]) =>
    Effect.gen(function*() {
      const version = yield* appendAll(store, key, [prepared("1"), prepared("2")])
      yield* store.remove(key, version)
      yield* same("version", (yield* store.load(key)).version, noVersion)
      yield* same("entries", (yield* store.load(key)).entries.length, 0)
      yield* conflicts("an append", store.append(key, prepared("3"), version))
      yield* conflicts("a removal", store.remove(key, version))
    })),

  caseOf(
    "refuses the versions of a session that was removed and made again",
    ["suite:again"],
    (store, [key]) =>
      Effect.gen(function*() {
        const first = yield* appendAll(store, key, [prepared("1")])
        yield* store.remove(key, first)
        const again = yield* appendAll(store, key, [prepared("1")])
        yield* conflicts("an append", store.append(key, prepared("2"), first))
        yield* conflicts("a removal", store.remove(key, first))
        yield* store.append(key, prepared("2"), again)
        yield* sameEntries((yield* store.load(key)).entries, ["1", "2"].map(prepared))
      })
  ),

  caseOf("refuses a removal at an earlier version", ["suite:stale-removal"], (store, [key]) =>
    Effect.gen(function*() {
      const first = yield* store.append(key, prepared("1"), noVersion)
      yield* store.append(key, prepared("2"), first)
      yield* conflicts("a removal", store.remove(key, first))
      yield* conflicts("a removal", store.remove(key, noVersion))
      yield* sameEntries((yield* store.load(key)).entries, ["1", "2"].map(prepared))
    })),

  caseOf(
    "removes nothing where there is no session",
    ["suite:nothing", "suite:something"],
    (store, [key, other]) =>
      Effect.gen(function*() {
        yield* store.remove(key, noVersion)
        const version = yield* store.append(other, prepared("1"), noVersion)
        yield* conflicts("a removal", store.remove(key, version))
        yield* sameEntries((yield* store.load(other)).entries, [prepared("1")])
      })
  ),

  caseOf(
    "lets either an append or a removal at the same version win",
    ["suite:duel"],
    (store, [key]) =>
      Effect.gen(function*() {
        for (let round = 0; round < 10; round++) {
          const version = yield* store.append(key, prepared("1"), noVersion)
          const [appended, removed] = yield* Effect.all([
            Effect.result(Effect.asVoid(store.append(key, prepared("2"), version))),
            Effect.result(store.remove(key, version))
          ], { concurrency: "unbounded" })
          yield* same("number of winners", [appended, removed].filter((result) => Result.isSuccess(result)).length, 1)
          const journal = yield* store.load(key)
          yield* sameEntries(journal.entries, Result.isSuccess(removed) ? [] : ["1", "2"].map(prepared))
          yield* store.remove(key, journal.version)
        }
      })
  ),

  caseOf("lists the sessions that exist", keysOf("suite:list", 20), (store, keys) =>
    Effect.gen(function*() {
      for (const key of keys) yield* store.append(key, prepared(key), noVersion)
      for (const key of keys.slice(10)) yield* store.remove(key, (yield* store.load(key)).version)
      const listed = yield* Stream.runCollect(store.list)
      yield* same("listed", listed.filter((key) => keys.includes(key)).toSorted().join(), keys.slice(0, 10).join())
    })),

  caseOf(
    "lists at least the sessions that are not settled, where it can tell",
    Object.keys(lives(job)),
    (store, keys) =>
      Effect.gen(function*() {
        for (const [key, entries] of Object.entries(lives(job))) yield* appendAll(store, key, entries)
        const listed = yield* Stream.runCollect(store.listUnsettled ?? store.list)
        for (const key of keys) {
          const isUnsettled = fold((yield* store.load(key)).entries).settled === undefined
          yield* check(!isUnsettled || listed.includes(key), `${key} is not listed`)
        }
      })
  ),

  caseOf(
    "lists at least the sessions that may have a job, where it can tell",
    Object.keys(lives(job)),
    (store, keys) =>
      Effect.gen(function*() {
        for (const [key, entries] of Object.entries(lives(job))) yield* appendAll(store, key, entries)
        const listed = yield* Stream.runCollect(store.listForJob?.(job) ?? store.list)
        for (const key of keys) {
          const state = fold((yield* store.load(key)).entries)
          const mayHave = state.submissions.some(({ accepted }) => accepted?.jobId === job) ||
            openSubmissions(state).some(({ id }) => id !== state.settled?.submissionId)
          yield* check(!mayHave || listed.includes(key), `${key} is not listed`)
        }
      })
  ),

  caseOf(
    "gives a session another version after each change, where it has versions",
    [...keysOf("suite:versions", 3), ...oddKeys.slice(0, 3)],
    (store, keys) =>
      Effect.gen(function*() {
        const { versions } = store
        if (versions === undefined) return
        const [changed = "", again = "", absent = "", ...others] = keys
        for (const key of [changed, again, ...others]) yield* store.append(key, prepared(key), noVersion)
        const before = yield* versions(keys)
        yield* same("versions", before.size, keys.length - 1)
        yield* check(!before.has(absent), "A session that there is not has a version")
        yield* store.append(changed, prepared("2"), (yield* store.load(changed)).version)
        yield* store.remove(again, (yield* store.load(again)).version)
        yield* check(!(yield* versions([again])).has(again), "A removed session has a version")
        yield* store.append(again, prepared(again), noVersion)
        const after = yield* versions(keys)
        for (const key of keys) {
          const isChanged = key === changed || key === again
          yield* check((before.get(key) !== after.get(key)) === isChanged, `${key} has a wrong version`)
        }
        yield* same("versions of nothing", (yield* versions([])).size, 0)
      })
  ),

  caseOf("keeps odd keys apart", oddKeys, (store, keys) =>
    Effect.gen(function*() {
      for (const key of keys) yield* appendAll(store, key, [prepared(key), prepared("2")])
      for (const key of keys) {
        yield* sameEntries((yield* store.load(key)).entries, [prepared(key), prepared("2")])
      }
      const listed = new Set(yield* Stream.runCollect(store.list))
      for (const key of keys) yield* check(listed.has(key), `${JSON.stringify(key).slice(0, 40)} is not listed`)
      for (const [index, key] of keys.entries()) {
        yield* store.remove(key, (yield* store.load(key)).version)
        yield* same("version", (yield* store.load(key)).version, noVersion)
        for (const next of keys.slice(index + 1, index + 2)) {
          yield* same("entries of the next key", (yield* store.load(next)).entries.length, 2)
        }
      }
    }))
]

/**
 * What a store must do whose medium is shared: each time that `layer` is
 * built, it gives another instance over the same medium.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sharedCases = <E, R>(layer: Layer.Layer<SessionStore, E, R>): ReadonlyArray<Case<E, R>> => {
  const instance = Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, SessionStore))
  const sharedCase = (
    name: string,
    key: string,
    run: (one: Store, two: Store, key: string) => Effect.Effect<void, CaseError>
  ): Case<E, R> => ({
    name,
    run: Effect.scoped(Effect.gen(function*() {
      const one = yield* instance
      const two = yield* instance
      yield* clear(one, [key])
      yield* Effect.ensuring(run(one, two, key), Effect.ignore(clear(one, [key])))
    }))
  })

  return [
    sharedCase(
      "sees what another instance appends, and appends to it",
      "suite:two",
      (one, two, key) =>
        Effect.gen(function*() {
          const first = yield* one.append(key, prepared("1"), noVersion)
          yield* same("version", (yield* two.load(key)).version, first)
          const second = yield* two.append(key, prepared("2"), first)
          yield* conflicts("an append", one.append(key, prepared("3"), first))
          yield* one.append(key, prepared("3"), second)
          yield* sameEntries((yield* two.load(key)).entries, ["1", "2", "3"].map(prepared))
          yield* check((yield* Stream.runCollect(two.list)).includes(key), "The session is not listed")
        })
    ),

    sharedCase(
      "refuses the versions of a session that another instance made again",
      "suite:two-again",
      (one, two, key) =>
        Effect.gen(function*() {
          const first = yield* one.append(key, prepared("1"), noVersion)
          yield* two.remove(key, first)
          yield* same("version", (yield* one.load(key)).version, noVersion)
          const again = yield* two.append(key, prepared("1"), noVersion)
          yield* conflicts("an append", one.append(key, prepared("2"), first))
          yield* one.append(key, prepared("2"), again)
          yield* sameEntries((yield* two.load(key)).entries, ["1", "2"].map(prepared))
        })
    ),

    sharedCase(
      "lets exactly one append of many instances win",
      "suite:two-race",
      (one, two, key) =>
        Effect.gen(function*() {
          for (let round = 1; round <= 8; round++) {
            const { version } = yield* one.load(key)
            const results = yield* Effect.forEach(
              Array.from({ length: 16 }, (_, index) => index),
              (index) =>
                Effect.result((index % 2 === 0 ? one : two).append(key, prepared(`${round}.${index}`), version)),
              { concurrency: "unbounded" }
            )
            const winners = results.flatMap((result, index) => Result.isSuccess(result) ? [index] : [])
            yield* same("number of winners", winners.length, 1)
            const { entries } = yield* two.load(key)
            yield* same("number of entries", entries.length, round)
            yield* sameEntries(entries.slice(-1), winners.map((index) => prepared(`${round}.${index}`)))
          }
        })
    ),

    sharedCase(
      "never loses a session that is made while another instance removes one",
      "suite:two-duel",
      (one, two, key) =>
        Effect.gen(function*() {
          for (let round = 0; round < 20; round++) {
            const version = yield* one.append(key, prepared("1"), noVersion)
            const removing = yield* Effect.forkChild(one.remove(key, version))
            const append = two.append(key, prepared("2"), noVersion)
            const made = yield* append.pipe(
              Effect.retry({ while: () => removing.pollUnsafe() === undefined }),
              Effect.catch(() => Effect.andThen(Fiber.join(removing), Effect.retry(append, { times: 200 }))),
              Effect.result
            )
            yield* Fiber.join(removing)
            yield* check(Result.isSuccess(made), "A session that was removed cannot be made again")
            const journal = yield* one.load(key)
            yield* sameEntries(journal.entries, [prepared("2")])
            yield* two.remove(key, journal.version)
          }
        })
    )
  ]
}
