/**
 * Breaks a copy of the sources on purpose, one thing at a time, and runs the tests that must notice.
 *
 *     node scripts/proof/mutations.ts [part of a name]
 *
 * Fails when a break goes unnoticed, or when the text that is to be broken is not in the sources any more.
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

interface Mutation {
  readonly name: string
  readonly file: string
  readonly text: string
  readonly by: string
  /** The test file, and a part of the titles of the tests that are run. */
  readonly tests: readonly [file: string, titles?: string]
}

const crashes = "test/proof/CrashPoints.test.ts"
const faults = "test/proof/FaultedFileSystem.test.ts"
const processes = "test/proof/ManyProcesses.test.ts"
const wire = "test/proof/WireFaults.test.ts"
const stores = "test/services/SessionStore.test.ts"
const evidence = "test/proof/Evidence.test.ts"
const jobs = "test/strategies/BackgroundJob.test.ts"
const model = "test/model/Sessions.test.ts"
const streams = "test/strategies/Streams.test.ts"
const fallback = "test/strategies/Fallback.test.ts"
const webhooks = "test/strategies/Webhooks.test.ts"

const mutations: ReadonlyArray<Mutation> = [
  {
    name: "the job is polled before Accepted is journaled",
    file: "src/strategies/internal/Sending.ts",
    text: "submitting(run, candidate, means, submission.id)",
    by: "Effect.tap(submitting(run, candidate, means, submission.id), ({ jobId }) => means.jobs.retrieve(jobId))",
    tests: [crashes, "on files$"]
  },
  {
    name: "a request is sent before Submitting is journaled",
    file: "src/strategies/internal/Submitting.ts",
    text: "  yield* journal.append(sent, version).pipe(\n",
    by: "  yield* Effect.forkDetach(Effect.delay(journal.append(sent, version), 50)).pipe(\n",
    tests: [crashes, "in SQLite"]
  },
  {
    name: "an append is not synced",
    file: "src/services/SessionStoreFile.ts",
    text: "    yield* file.sync\n",
    by: "",
    tests: [crashes, "not synced"]
  },
  {
    name: "the folder of a new file is not synced",
    file: "src/services/SessionStoreFile.ts",
    text: "    if (number === 1) yield* folder.sync\n",
    by: "",
    tests: [crashes, "not synced"]
  },
  {
    name: "the name of a new folder is not synced",
    file: "src/services/internal/JournalFolder.ts",
    text: "Effect.andThen(fs.makeDirectory(directory, { mode: 0o700 }), syncFolder(withFile, parent))",
    by: "fs.makeDirectory(directory, { mode: 0o700 })",
    tests: ["test/proof/PowerLoss.test.ts"]
  },
  {
    name: "a submission is sent although it could not be journaled",
    file: "src/strategies/internal/Submitting.ts",
    text: "  yield* journal.append(sent, version).pipe(\n",
    by:
      "  yield* Effect.catchTag(journal.append(sent, version), \"StoreUnavailable\", () => Effect.succeed(version)).pipe(\n",
    tests: [faults]
  },
  {
    name: "an entry is given up when the journal cannot be written at once",
    file: "src/strategies/internal/Journaling.ts",
    text: "      Effect.retry({ schedule: pauses, while: (error) => error._tag === \"StoreUnavailable\" && isSoon })\n",
    by: "      Effect.map((state) => state)\n",
    tests: [jobs, "30 seconds"]
  },
  {
    name: "a line whose sync has failed is believed",
    file: "src/services/SessionStoreFile.ts",
    text: "    if (doubtful.has(key)) yield* withLock(key)(confirm(key))\n",
    by: "",
    tests: ["test/services/SessionStoreFile.test.ts", "fails to sync"]
  },
  {
    name: "an append on files does not compare versions",
    file: "src/services/SessionStoreFile.ts",
    text: "if ((tip === undefined ? noVersion : versionOf(tip)) !== expected) return yield* conflict",
    by: "",
    tests: [stores, "at an earlier version"]
  },
  {
    name: "an append on files does not look who has won",
    file: "src/services/SessionStoreFile.ts",
    text: "winner?.writer !== writer ||",
    by: "winner === undefined ||",
    tests: [processes, "on files"]
  },
  {
    name: "an append in PostgreSQL does not compare versions",
    file: "src/services/SessionStoreSql.ts",
    text: "AND incarnation = ${point.incarnation} AND version = ${point.version}\n      RETURNING version`.pipe(" +
      "Effect.mapError(failure(\"append\"))",
    by: "AND incarnation = ${point.incarnation}\n      RETURNING version`.pipe(Effect.mapError(failure(\"append\"))",
    tests: ["test/services/SessionStoreSql.test.ts"]
  },
  {
    name: "Accepted is given up when somebody else has appended",
    file: "src/strategies/internal/Journaling.ts",
    text: "Effect.retry({ until: (error): error is SessionStoreError => error._tag !== \"VersionConflict\" })",
    by: "Effect.catchTag(\"VersionConflict\", () => Effect.map(journal.load, (loaded) => loaded.state))",
    tests: [processes, "cancel the surplus job"]
  },
  {
    name: "a surplus job is not cancelled",
    file: "src/strategies/internal/Cancelling.ts",
    text: "  Effect.flatMap(requestCancel(",
    by: "  journal.durable ? Effect.void : Effect.flatMap(requestCancel(",
    tests: [processes, "cancel the surplus job"]
  },
  {
    name: "a reset counts as not sent",
    file: "src/services/providers/internal/TransportTable.ts",
    text: "const cut = rule(\"Network\", \"Uncertain\")",
    by: "const cut = rule(\"Network\", \"NotSent\")",
    tests: [evidence, "reset"]
  },
  {
    name: "a 502 with the provider's JSON counts as a refusal",
    file: "src/services/providers/internal/ErrorTable.ts",
    text: "new Set([500, 501, 503, 505, 529])",
    by: "new Set([500, 501, 502, 503, 504, 505, 529])",
    tests: [evidence, "leaves the submission open"]
  },
  {
    name: "a submission reuses idle connections",
    file: "src/services/providers/internal/OpenAiClient.ts",
    text: "call.operation === \"submit\" ? clients.fresh : clients.shared",
    by: "clients.shared",
    tests: [evidence, "idle connection"]
  },
  {
    name: "a submission that hangs is never given up",
    file: "src/strategies/internal/Submitting.ts",
    text: "Effect.raceFirst(submit, giveUp)",
    by: "submit",
    tests: [evidence, "does not answer"]
  },
  {
    name: "a job that the provider has just known is taken for expired",
    file: "src/strategies/internal/Polling.ts",
    text: "    watch.seenAt = now\n",
    by: "",
    tests: [jobs, "just known"]
  },
  {
    name: "how long the journal is tried goes by the wall clock",
    file: "src/strategies/internal/Journaling.ts",
    text: "const isSoon = Effect.map(monotonicMillis,",
    by: "const isSoon = Effect.map(currentMillis,",
    tests: [jobs, "wall clock is set"]
  },
  {
    name: "a job's id is given up after an outage of the store",
    file: "src/strategies/internal/Sending.ts",
    text: "shared.attend(insist(journal, result.job))",
    by: "Effect.void",
    tests: [jobs, "longer time"]
  },
  {
    name: "a process that was stopped gives its submission up before it reads the answer",
    file: "src/strategies/internal/Submitting.ts",
    text: "    Effect.andThen(Effect.sleep(last)),\n",
    by: "",
    tests: [evidence, "process was stopped"]
  },
  {
    name: "an uncertain submission is sent again",
    file: "src/strategies/internal/Uncertainty.ts",
    text: "(strategy === \"background\" && run.spec.key !== undefined ? \"fail\" : \"resubmit\")",
    by: "\"resubmit\"",
    tests: [crashes, "in SQLite"]
  },
  {
    name: "another's submission is given up at once",
    file: "src/strategies/internal/Uncertainty.ts",
    text: "const left = since + submission.sent.submitTimeout - now",
    by: "const left = since - now",
    tests: [crashes, "in SQLite"]
  },
  {
    name: "Settled is not looked at when a run starts",
    file: "src/strategies/internal/Driving.ts",
    text: "    if (settled !== undefined) {\n      yield* cancelOthers(",
    by: "    if (settled?.at === -1) {\n      yield* cancelOthers(",
    tests: [crashes, "in SQLite"]
  },
  {
    name: "a session is settled more than once",
    file: "src/strategies/internal/Settling.ts",
    text: "if (state.settled !== undefined || !hasSubmission(",
    by: "if (!hasSubmission(",
    tests: [model, "own poll found another one later"]
  },
  {
    name: "the last Settled wins",
    file: "src/services/Session.ts",
    text: "return state.settled === undefined ? { ...state, settled: entry } : state",
    by: "return { ...state, settled: entry }",
    tests: ["test/services/Session.test.ts"]
  },
  {
    name: "the fingerprint is not compared",
    file: "src/strategies/internal/Driving.ts",
    text: "state.fingerprint === run.spec.fingerprint,",
    by: "true,",
    tests: ["test/strategies/Sessions.test.ts"]
  },
  {
    name: "a failed poll ends the run",
    file: "src/strategies/internal/Polling.ts",
    text: "  watch.pending = { ...watch.pending, pollAfter:",
    by: "  if (missingSince === undefined) return yield* run.failure(result.failure)\n" +
      "  watch.pending = { ...watch.pending, pollAfter:",
    tests: [wire]
  },
  {
    name: "a job that may not be asked for is given up at once",
    file: "src/strategies/internal/Polling.ts",
    text: "now - deniedSince >= deniedMillis",
    by: "now - deniedSince >= 0",
    tests: [model, "in memory"]
  },
  {
    name: "a run sends again after the session was cancelled",
    file: "src/strategies/internal/Driving.ts",
    text: "    if (isGivenUp(run, state)) return yield* cancelledBetween(run)\n",
    by: "",
    tests: ["test/strategies/Sessions.test.ts", "from sending again"]
  },
  {
    name: "a job is cancelled for the next model though nobody can know it",
    file: "src/strategies/internal/Cancelling.ts",
    text: "Effect.catch(() => forFallback ? Effect.fail(undefined) : Effect.void)",
    by: "Effect.catch(() => Effect.void)",
    tests: ["test/strategies/FallbackProcesses.test.ts", "cancelled in its queue"]
  },
  {
    name: "a surplus job is not written down as ended",
    file: "src/strategies/internal/Cancelling.ts",
    text: ": Effect.ignore(recordEnd(journal, job.id, reason), { log: \"Warn\" })",
    by: ": Effect.void",
    tests: [model, "surplus"]
  },
  {
    name: "a failure of a job that only another one can cure settles the session",
    file: "src/strategies/internal/Settling.ts",
    text: "    if (end._tag === \"Failed\" && hasEnded(state, submission.id)) return undefined\n",
    by: "",
    tests: ["test/strategies/Sessions.test.ts", "found to have failed"]
  },
  {
    name: "a run keeps a key that it has lost",
    file: "src/strategies/internal/Running.ts",
    text: "      run.hasLostKey = true\n      forget(run)\n",
    by: "",
    tests: [model, "who comes later"]
  },
  {
    name: "another model is asked while a job may be running",
    file: "src/strategies/internal/GoingOn.ts",
    text: "boolean =>\n  jobsOf(state).every(",
    by: "boolean =>\n  jobsOf(state).length >= 0 || jobsOf(state).every(",
    tests: [fallback, "keeps the next model from being asked"]
  },
  {
    name: "another model is asked after something was told",
    file: "src/strategies/internal/GoingOn.ts",
    text: "if (order === undefined || asked === undefined || run.transcript?.hasContent === true) return false",
    by: "if (order === undefined || asked === undefined) return false",
    tests: [fallback, "once the first one told something"]
  },
  {
    name: "the retry budget is not drawn on",
    file: "src/strategies/internal/Retrying.ts",
    text: "    if (budget !== undefined && !(yield* budget.take(error))) return run.failure(error)\n",
    by: "",
    tests: ["test/strategies/RetryBudget.test.ts"]
  },
  {
    name: "a stream tells of a job before its id is in the journal",
    file: "src/strategies/internal/Opening.ts",
    text: "return isJournaled.await",
    by: "return Effect.void",
    tests: [model, "tell nothing of a surplus job"]
  },
  {
    name: "a stream is opened again without its cursor",
    file: "src/strategies/internal/Following.ts",
    text: "jobs.stream(job.accepted.jobId, transcript.cursor, job.id)",
    by: "jobs.stream(job.accepted.jobId, undefined, job.id)",
    tests: [streams, "goes on after the last event"]
  },
  {
    name: "a stream that waits for the journal counts as silent",
    file: "src/strategies/internal/Reading.ts",
    text: "          this.isWaiting = true\n          return",
    by: "          return",
    tests: [streams, "journal takes longer"]
  },
  {
    name: "the limit of the first event holds on after it",
    file: "src/strategies/internal/Reading.ts",
    text: "restOf(Math.min(left, idle))",
    by: "restOf(left)",
    tests: [streams, "sooner than its first event"]
  },
  {
    name: "what a server tells again is told twice",
    file: "src/strategies/internal/Reading.ts",
    text: "if (event === undefined || this.isOld(event)) continue",
    by: "if (event === undefined) continue",
    tests: [streams, "drops what a server tells again"]
  },
  {
    name: "a stream that cannot go on is told again from its beginning",
    file: "src/strategies/internal/Following.ts",
    text: " || !transcript.canGoOn",
    by: "",
    tests: [streams, "repeats nothing"]
  },
  {
    name: "a stream is read twice at a time",
    file: "src/strategies/internal/Following.ts",
    text: "!watch.isStreamTaken && run.streamOf",
    by: "!watch.isLeft && run.streamOf",
    tests: [streams, "one stream at a time"]
  },
  {
    name: "the end of a connection is taken for the end of the answer",
    file: "src/strategies/internal/Reading.ts",
    text: "Effect.fail(cutShort(reader.hasBegun))",
    by: "Effect.fail({ _tag: \"Ended\", outcome: { _tag: \"Succeeded\", answer: { content: reading.transcript.text, " +
      "finishReason: \"stop\", response: {}, model: \"any\" } } } as never)",
    tests: [streams]
  },
  {
    name: "a stream that has fallen silent is never given up",
    file: "src/strategies/internal/Reading.ts",
    text: "      Effect.raceFirst(reader.watch),\n",
    by: "",
    tests: [streams, "silent"]
  },
  {
    name: "the next job's stream is read from where the last job's was",
    file: "src/strategies/internal/Transcript.ts",
    text: "    this.cursor = undefined\n",
    by: "",
    tests: [fallback, "tells the whole answer of the next model"]
  },
  {
    name: "a held call goes on although its session was cancelled",
    file: "src/strategies/internal/Submitting.ts",
    text: "    Effect.repeat({ until: (isOver) => isOver }),\n",
    by: "    Effect.forever,\n",
    tests: ["test/strategies/SyncRetry.test.ts", "aborts a call that"]
  },
  {
    name: "a run that polls seldom does not see that its job has failed",
    file: "src/strategies/internal/Hints.ts",
    text: "id === job.id && closed !== undefined",
    by: "id === \"\" && closed !== undefined",
    tests: [webhooks, "another process, for"]
  },
  {
    name: "a webhook is believed, and its job not fetched",
    file: "src/strategies/internal/WebhookJobs.ts",
    text:
      "return known.isOver ? { _tag: \"Settled\", jobId, session: known.session } : yield* settle(known.session, jobId)",
    by: "return { _tag: \"Settled\", jobId, session: known.session }",
    tests: [webhooks, "many sessions"]
  },
  {
    name: "a webhook about an uncertain submission is passed over",
    file: "src/strategies/internal/WebhookJobs.ts",
    text: "return place === undefined\n",
    by: "return place === undefined || jobId !== \"\"\n",
    tests: [model, "when its webhook comes"]
  },
  {
    name: "a webhook's handler that is interrupted forgets whose job it is",
    file: "src/strategies/internal/WebhookJobs.ts",
    text: "Effect.uninterruptibleMask((restore) =>",
    by: "Effect.withFiber((_, restore = <A>(effect: A): A => effect) =>",
    tests: [model, "does not wait"]
  },
  {
    name: "a repeated webhook is heeded again",
    file: "src/strategies/Webhooks.ts",
    text: "      if (handled.has(id)) return { _tag: \"Repeated\" }\n",
    by: "",
    tests: [webhooks, "repeated"]
  },
  {
    name: "the signature of a webhook is not compared",
    file: "src/services/WebhookSignature.ts",
    text: "return isAnyOf(expected, signatures)",
    by: "return expected.length > 0",
    tests: [webhooks, "forged"]
  },
  {
    name: "a job is adopted whosever it is",
    file: "src/strategies/Sessions.ts",
    text: "carried === undefined ? open : state.submissions.find(({ id }) => id === carried)",
    by: "state.submissions.find(({ id }) => id === carried) ?? open",
    tests: ["test/strategies/Sessions.test.ts", "adopt"]
  },
  {
    name: "a webhook leaves its job to a run that is gone",
    file: "src/strategies/internal/WebhookJobs.ts",
    text: "if (place?._tag === \"Known\" && !place.isOver) return yield* settle(session, jobId, left)",
    by: "void place",
    tests: [webhooks]
  }
]

const root = fileURLToPath(new URL("../..", import.meta.url))
const copy = mkdtempSync(join(tmpdir(), "holdfast-mutations-"))

const main = (): void => {
  for (const name of ["src", "test", "scripts", "package.json", "tsconfig.json", "vitest.config.ts"]) {
    cpSync(join(root, name), join(copy, name), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
  const chosen = mutations.filter(({ name }) => name.includes(process.argv[2] ?? ""))
  const lost = chosen.filter(({ file, text }) => readFileSync(join(copy, file), "utf8").split(text).length !== 2)
  for (const { file, name, text } of lost) {
    process.stdout.write(`"${name}": ${file} does not have exactly once: ${text}\n`)
  }
  // Tests that fail anyway would notice everything. Some have time limits, which a busy machine may exceed once.
  const sound = [...new Map(chosen.map(({ tests }) => [tests.join(), tests])).values()].filter((tests) => {
    const failures = failing(tests).length === 0 ? [] : failing(tests)
    for (const title of failures) process.stdout.write(`fails without any break: ${tests[0]}, ${title}\n`)
    return failures.length === 0
  })
  if (sound.length === 0) process.stdout.write("no test passes without a break\n")
  const rows = chosen.filter((mutation) =>
    !lost.includes(mutation) && sound.some((tests) => tests.join() === mutation.tests.join())
  ).map((mutation) => {
    const row = { mutation, ...caughtBy(mutation) }
    process.stdout.write(`${row.tests.length > 0 ? "caught  " : "UNNOTICED"} ${mutation.name} (${row.seconds} s)\n`)
    return row
  })
  process.stdout.write("\n| what is broken | which test notices |\n| --- | --- |\n")
  for (const { mutation, tests } of rows) {
    process.stdout.write(`| ${mutation.name} | ${tests.slice(0, 2).join("; ") || "NONE"}${more(tests)} |\n`)
  }
  const noticed = rows.filter(({ tests }) => tests.length > 0).length
  process.stdout.write(`\n${noticed} of ${chosen.length} breaks were noticed\n`)
  if (noticed < chosen.length) process.exitCode = 1
}

const more = (tests: ReadonlyArray<string>): string => tests.length > 2 ? `; and ${tests.length - 2} more` : ""

/** The titles of the tests that fail with the mutation. */
const caughtBy = (
  { by, file, tests, text }: Mutation
): { readonly tests: ReadonlyArray<string>; readonly seconds: string } => {
  const path = join(copy, file)
  const source = readFileSync(path, "utf8")
  const startedAt = performance.now()
  writeFileSync(path, source.replace(text, () => by))
  try {
    let failures = failing(tests)
    // Whether processes meet is a matter of chance.
    for (let attempt = 1; attempt < 3 && failures.length === 0; attempt++) failures = failing(tests)
    return { tests: failures, seconds: ((performance.now() - startedAt) / 1000).toFixed(0) }
  } finally {
    writeFileSync(path, source)
  }
}

/** The titles of the tests that fail now. */
const failing = ([test, titles]: Mutation["tests"]): ReadonlyArray<string> => {
  const report = join(copy, "report.json")
  rmSync(report, { force: true })
  spawnSync(
    process.execPath,
    [
      join(copy, "node_modules/vitest/vitest.mjs"),
      "run",
      test,
      ...(titles === undefined ? [] : ["-t", titles]),
      // Some breaks make a test wait for ever.
      "--testTimeout=40000",
      "--reporter=json",
      `--outputFile=${report}`
    ],
    { cwd: copy, stdio: "ignore", timeout: 180_000, killSignal: "SIGKILL" }
  )
  return existsSync(report) ? failuresOf(report) : ["the tests did not come to an end"]
}

const failuresOf = (report: string): ReadonlyArray<string> => {
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as {
    readonly testResults: ReadonlyArray<
      { readonly assertionResults: ReadonlyArray<{ readonly status: string; readonly title: string }> }
    >
  }
  // A file that cannot even be loaded has noticed nothing.
  return testResults.flatMap(({ assertionResults }) =>
    assertionResults.flatMap(({ status, title }) => status === "failed" ? [title] : [])
  )
}

try {
  main()
} finally {
  rmSync(copy, { recursive: true, force: true })
}
