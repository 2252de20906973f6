/**
 * What the error of a database says: what may be told of it, whether the
 * statement may be sent again, and whether it may have been carried out.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Migrator from "effect/sql/Migrator"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { StoreUnavailable } from "../../errors/SessionStoreError.ts"

/**
 * Returns what the store says of a failure: the database's code, and none of
 * its words, which may quote what was written.
 */
export const unavailable = (operation: string) => (error: SqlError | Migrator.MigrationError): StoreUnavailable => {
  const code = codeOf(error)
  return new StoreUnavailable({
    operation,
    message: `The database failed: ${error.message}${code === undefined ? "" : ` (${code.words})`}`,
    code: code?.code,
    cause: error
  })
}

/**
 * Sends a statement again while the database undoes it for the sake of
 * others: after a serialization failure or a deadlock, for up to 10 seconds.
 * In a transaction of the caller it is not: all of that was undone.
 */
export const retrying = (sql: SqlClient.SqlClient) => <A>(statement: Effect.Effect<A, SqlError>) =>
  Effect.flatMap(
    Effect.serviceOption(sql.transactionService),
    (transaction) =>
      Option.isSome(transaction) ? statement : Effect.retry(statement, { schedule: undone, while: isUndone })
  )

const undone = Schedule.min([Schedule.exponential("2 millis"), Schedule.spaced("100 millis")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: "10 seconds" })
)

const isUndone = ({ reason }: SqlError): boolean =>
  reason._tag === "SerializationError" || reason._tag === "DeadlockError"

/** Returns whether the statement may have been carried out all the same: the connection was lost with its answer. */
export const isOutcomeUnknown = (error: SqlError): boolean =>
  isConnectionLost(error) || error.reason._tag === "UnknownError"

/** Returns whether another connection may do. */
export const isConnectionLost = ({ reason }: SqlError): boolean => reason._tag === "ConnectionError"

/** The SQLSTATE, the system's error code or SQLite's result code of the error, or of its causes. */
const codeOf = (error: unknown): { readonly code: string; readonly words: string } | undefined => {
  for (let cause = error, depth = 0; cause !== undefined && depth < 8; cause = causeOf(cause), depth++) {
    if (Predicate.hasProperty(cause, "errcode") && Predicate.isNumber(cause.errcode)) {
      const words = Predicate.hasProperty(cause, "errstr") && Predicate.isString(cause.errstr)
        ? `${cause.errstr}, `
        : ""
      return { code: `SQLITE_${cause.errcode}`, words: `${words}SQLite code ${cause.errcode}` }
    }
    if (!Predicate.hasProperty(cause, "code") || !Predicate.isString(cause.code)) continue
    if (sqlState.test(cause.code)) return { code: cause.code, words: `SQLSTATE ${cause.code}` }
    if (/^[A-Z][A-Z0-9_]{2,40}$/.test(cause.code)) return { code: cause.code, words: cause.code }
  }
  return undefined
}

const sqlState = /^(?:[0-9]{2}|F0|HV|P0|XX)[0-9A-Z]{3}$/

const causeOf = (error: unknown): unknown => Predicate.hasProperty(error, "cause") ? error.cause : undefined
