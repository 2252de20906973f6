/**
 * What a session store can fail with.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Error for a store that could not be read or written now: disk full, no
 * permission, a database that is away.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreUnavailable
  extends Schema.TaggedError<StoreUnavailable>("holdfast/errors/SessionStoreError/StoreUnavailable")(
    "StoreUnavailable",
    {
      /** What was tried: `open`, `load`, `append`, `remove`, `list`. */
      operation: Schema.String,
      message: Schema.String,
      /** The system's error code (`ENOSPC`, `EACCES`, …), or the database's: an SQLSTATE, or `SQLITE_` and the result code. */
      code: Schema.optional(Schema.String),
      cause: Schema.optional(Schema.Defect())
    }
  )
{}

/**
 * Error for a session whose journal cannot be read: damaged, or written by a
 * newer version.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreCorrupt extends Schema.TaggedError<StoreCorrupt>("holdfast/errors/SessionStoreError/StoreCorrupt")(
  "StoreCorrupt",
  { message: Schema.String, cause: Schema.optional(Schema.Defect()) }
) {}

/**
 * Error for a compare-and-append that lost: the session is no longer at the
 * expected version. Load it and decide again.
 *
 * @category errors
 * @since 0.1.0
 */
export class VersionConflict
  extends Schema.TaggedError<VersionConflict>("holdfast/errors/SessionStoreError/VersionConflict")(
    "VersionConflict",
    { message: Schema.String }
  )
{}

/**
 * Error for reading or writing a session, but for `VersionConflict`.
 *
 * @category errors
 * @since 0.1.0
 */
export type SessionStoreError = StoreUnavailable | StoreCorrupt
