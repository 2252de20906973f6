/**
 * The files of a SQLite database: made for their owner only, and missed when
 * they are gone while the database is open.
 */
import { closeSync, openSync, statSync } from "node:fs"

/**
 * Makes the file of a database, for its owner only, if it is missing. SQLite
 * gives the files beside it the same permissions.
 */
export const create = (filename: string): void => {
  const path = pathOf(filename)
  if (path === undefined) return
  try {
    closeSync(openSync(path, "wx", 0o600))
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause
    // A link to a file that is missing: SQLite would make that file, for everybody.
    statSync(path)
  }
}

/**
 * Returns a function that tells whether the files of an open database are
 * still those that it was opened with. SQLite writes to files that were
 * removed, as if nothing had happened. `location` is `null` for a database
 * without a file; `isLogged` says whether it has a write-ahead log.
 */
export const watch = (location: string | null, isLogged: () => boolean): () => boolean => {
  if (location === null) return () => true
  const file = identityOf(location)
  const log = `${location}-wal`
  let knownLog: string | undefined
  return () => {
    if (identityOf(location) !== file) return false
    // The log is made by the first transaction, and stays as long as a connection is open.
    const current = identityOf(log)
    if (current === knownLog) return true
    if (knownLog !== undefined && isLogged()) return false
    knownLog = current
    return true
  }
}

const identityOf = (path: string): string | undefined => {
  const info = statSync(path, { bigint: true, throwIfNoEntry: false })
  return info === undefined ? undefined : `${info.dev}:${info.ino}`
}

/** The path of a file that SQLite may make; `undefined` when it makes none. */
const pathOf = (filename: string): string | undefined => {
  const [name = "", query = ""] = filename.startsWith("file:") ? filename.slice("file:".length).split("?") : [filename]
  if (/(?:^|&)mode=(?:memory|ro|rw)(?:&|$)/.test(query)) return undefined
  const path = name === filename
    ? name
    : decodeURIComponent(name.replace(/#.*$/, "").replace(/^\/\/(?:localhost)?/, ""))
  return path === "" || path === ":memory:" ? undefined : path
}
