/**
 * Assertions of the suites, as effects.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SessionStoreError, VersionConflict } from "../../errors/SessionStoreError.ts"
import * as Session from "../../services/Session.ts"
import type { SessionStore } from "../../services/SessionStore.ts"

/**
 * Error for a store that does not do what it must.
 *
 * @category errors
 * @since 0.1.0
 */
export class SuiteError extends Schema.TaggedError<SuiteError>("holdfast/testing/internal/SuiteChecks/SuiteError")(
  "SuiteError",
  { message: Schema.String }
) {}

/**
 * What a case can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type CaseError = SuiteError | SessionStoreError | VersionConflict

/**
 * Fails with the message unless the condition holds.
 *
 * @category combinators
 * @since 0.1.0
 */
export const check = (condition: boolean, message: string): Effect.Effect<void, SuiteError> =>
  condition ? Effect.void : Effect.fail(new SuiteError({ message }))

/**
 * Fails unless both values are the same.
 *
 * @category combinators
 * @since 0.1.0
 */
export const same = <A extends string | number>(
  what: string,
  actual: A,
  expected: A
): Effect.Effect<void, SuiteError> => check(actual === expected, `Expected ${what} ${expected}, got ${actual}`)

/**
 * Fails unless the entries are the same, the decoded classes included.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sameEntries = Effect.fnUntraced(function*(
  actual: ReadonlyArray<Session.Entry>,
  expected: ReadonlyArray<Session.Entry>
): Effect.fn.Return<void, SuiteError> {
  yield* same("number of entries", actual.length, expected.length)
  for (const [index, entry] of expected.entries()) {
    const got = yield* jsonOf(actual[index])
    yield* check(got === (yield* jsonOf(entry)), `Entry ${index} (${entry._tag}) is not what was appended: ${got}`)
  }
})

/**
 * Fails unless the effect fails with `VersionConflict`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const conflicts = (
  what: string,
  effect: Effect.Effect<unknown, SessionStoreError | VersionConflict>
): Effect.Effect<void, CaseError> =>
  effect.pipe(
    Effect.flatMap(() => Effect.fail(new SuiteError({ message: `Expected ${what} to conflict, but it succeeded` }))),
    Effect.catchTag("VersionConflict", () => Effect.void)
  )

/**
 * Appends entries one after the other, from no session on, and returns the
 * last version.
 *
 * @category combinators
 * @since 0.1.0
 */
export const appendAll = Effect.fnUntraced(function*(
  store: SessionStore["Service"],
  key: string,
  entries: ReadonlyArray<Session.Entry>
): Effect.fn.Return<Session.Version, SessionStoreError | VersionConflict> {
  let version = Session.noVersion
  for (const entry of entries) version = yield* store.append(key, entry, version)
  return version
})

/**
 * Removes the sessions with these keys, if there are any.
 *
 * @category combinators
 * @since 0.1.0
 */
export const clear = (
  store: SessionStore["Service"],
  keys: ReadonlyArray<string>
): Effect.Effect<void, SessionStoreError | VersionConflict> =>
  Effect.forEach(
    keys,
    (key) => Effect.flatMap(store.load(key), ({ version }) => store.remove(key, version)),
    { discard: true }
  )

const encode = Schema.encodeUnknownEffect(Session.EntryJson)

// Encoding fails for what only looks like an entry.
const jsonOf = (entry: unknown): Effect.Effect<string, SuiteError> =>
  encode(entry).pipe(
    Effect.map((json) => JSON.stringify(json)),
    Effect.mapError(() => new SuiteError({ message: "An entry was loaded that is none" }))
  )
