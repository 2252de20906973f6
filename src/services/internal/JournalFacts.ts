/**
 * What the files of a folder say of their sessions' jobs, remembered as long as
 * the files do not change: a file is read once, and then only looked at.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as JournalFile from "./JournalFile.ts"
import * as JournalFolder from "./JournalFolder.ts"
import * as KeyName from "./KeyName.ts"

/** What a session's file says. */
export interface Facts {
  readonly key: string
  /** The jobs that were accepted. */
  readonly jobs: ReadonlyArray<string>
  /** Whether nothing more is to come: it is settled, and has no second submission or job. */
  readonly isOver: boolean
  /** Whether a job that is not among `jobs` may be the session's. */
  readonly isUnclear: boolean
}

/** Creates the facts of a folder's sessions; a damaged file counts as unclear. */
export const make = (folder: JournalFolder.JournalFolder): Stream.Stream<Facts, PlatformError> => {
  const remembered = new Map<string, { readonly stamp: string; readonly facts: Facts | undefined }>()

  const factsIn = Effect.fnUntraced(function*(name: string, key: string | undefined) {
    const info = yield* folder.infoAt(folder.pathOfName(name))
    if (Option.isNone(info) || info.value.type !== "File") return undefined
    const stamp = stampOf(info.value)
    const known = remembered.get(name)
    if (known !== undefined && known.stamp === stamp) return known.facts
    const bytes = yield* folder.withFile(
      folder.pathOfName(name),
      "r",
      (file) => JournalFolder.readFrom(file, 0, JournalFolder.sizeOf(info.value))
    ).pipe(
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(new Uint8Array())),
      Effect.uninterruptible
    )
    const lines = JournalFile.scan(bytes)
    if (Result.isFailure(lines) && key === undefined) {
      yield* Effect.logWarning("A session file is damaged and was left out of the list", name)
    }
    const facts = Result.match(lines, {
      onFailure: () => key === undefined ? undefined : { key, jobs: [], isOver: false, isUnclear: true },
      onSuccess: (lines) => factsOf(lines, name)
    })
    remembered.delete(name)
    // Times of files are coarse: one that has just been written may be written again at the same time.
    if ((yield* Clock.currentTimeMillis) - mtimeOf(info.value) > minAgeMillis) remembered.set(name, { stamp, facts })
    const [oldest] = remembered.keys()
    if (remembered.size > capacity && oldest !== undefined) remembered.delete(oldest)
    return facts
  })

  return Stream.unwrap(Effect.map(folder.names, Stream.fromIterable)).pipe(
    Stream.mapEffect((name) =>
      Option.match(KeyName.keyOf(name), {
        onNone: () => Effect.undefined,
        onSome: (key) => factsIn(name, key)
      }), { concurrency: 16, unordered: true }),
    Stream.filter(Predicate.isNotUndefined)
  )
}

/** Files that are remembered. */
const capacity = 100_000

/** How long a file must have been as it is before it is remembered. */
const minAgeMillis = 10_000

const mtimeOf = (info: FileSystem.File.Info): number =>
  Option.match(info.mtime, { onNone: () => Infinity, onSome: (time) => time.getTime() })

const stampOf = (info: FileSystem.File.Info): string =>
  `${JournalFolder.identityOf(info)} ${JournalFolder.sizeOf(info)} ${mtimeOf(info)}`

const factsOf = (lines: ReadonlyArray<JournalFile.Line>, name: string): Facts | undefined => {
  const last = lines.at(-1)
  const owner = Option.getOrUndefined(JournalFile.keyOf(lines))
  if (last === undefined || last.isTombstone || owner === undefined || KeyName.fileNameOf(owner) !== name) {
    return undefined
  }
  const submissions = new Set<unknown>()
  const jobs = new Set<string>()
  let acceptances = 0
  let isSettled = false
  for (const line of lines) {
    const payload = Result.getOrUndefined(JournalFile.payloadOf(line))
    const entry = Predicate.hasProperty(payload, "entry") ? payload.entry : undefined
    if (!Predicate.hasProperty(entry, "_tag")) continue
    if (entry._tag === "Settled") isSettled = true
    if (entry._tag === "Submitting" && Predicate.hasProperty(entry, "submissionId")) submissions.add(entry.submissionId)
    if (entry._tag !== "Accepted") continue
    acceptances++
    if (Predicate.hasProperty(entry, "jobId") && Predicate.isString(entry.jobId)) jobs.add(entry.jobId)
  }
  const isOver = isSettled && submissions.size <= 1 && acceptances <= 1
  return { key: owner, jobs: [...jobs], isOver, isUnclear: !isOver && (acceptances === 0 || submissions.size > 1) }
}
