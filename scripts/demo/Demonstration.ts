/**
 * The promise of Holdfast, claim by claim; each one is checked against what
 * the provider has seen.
 */
import { Clock, Console, Duration, Effect, FileSystem, Schedule, Schema } from "effect"
import { LlmResponse } from "../../src/services/LlmResponse.ts"
import { Simulator } from "../../src/testing/Simulator.ts"
import * as CommandProcess from "./CommandProcess.ts"

class ClaimFailed extends Schema.TaggedError<ClaimFailed>("demo/ClaimFailed")("ClaimFailed", {
  claim: Schema.String
}) {
  override get message(): string {
    return `it is not true that ${this.claim}`
  }
}

export const demonstration = Effect.gen(function*() {
  const startedAt = yield* Clock.currentTimeMillis
  const fs = yield* FileSystem.FileSystem
  const simulator = yield* Simulator
  const store = yield* fs.makeTempDirectoryScoped({ prefix: "holdfast-demo-" })
  const start = CommandProcess.starter({ openAiBaseUrl: simulator.openAiBaseUrl, store })
  const requestCount = Effect.map(simulator.ledger, ({ calls }) => calls.length)
  const submissionsOf = (text: string) =>
    Effect.map(
      simulator.ledger,
      ({ submissions }) => submissions.filter(({ body }) => JSON.stringify(body).includes(text))
    )

  yield* Console.log(
    "Holdfast gets answers from models, and does not pay twice for them. This shows it without a key:\n" +
      `a simulated OpenAI answers on ${simulator.openAiBaseUrl}; the processes and the HTTP are real.`
  )

  yield* heading("1. A long job is started, and its process is killed")
  const prompt = "Compare the three contracts"
  const demo = ["run", "--model", "openai/gpt-5.5-pro", "--session", "demo", "--json", prompt]
  const first = yield* start(demo)
  const job = yield* polledJob(simulator.jobs)
  yield* first.kill
  yield* Console.log("  The job is being polled. Its process is killed now (SIGKILL), as a crash would do it.")
  yield* claim("the process was killed", (yield* first.exit).signal === "SIGKILL")
  yield* claim("the id of the job is in the session's file", yield* holds(fs, store, job.id), job.id)

  yield* heading("2. The same command again, in a new process")
  const second = yield* Effect.flatMap(start(demo), ({ exit }) => exit)
  const answer = yield* decodeAnswer(second.stdout)
  const paid = yield* submissionsOf(prompt)
  yield* claim("the command ended well", second.code === 0, "exit code 0")
  yield* claim("it went on with the same job", answer.responseId === job.id && answer.resumed, `${answer.responseId}`)
  yield* claim("the provider saw one submission, not two", paid.length === 1, `${paid.length} submission`)
  yield* claim("the answer is there", answer.content.includes(prompt), answer.content)
  yield* claim(
    "the usage is there",
    answer.usage !== undefined && answer.usage.totalTokens > 0,
    `${answer.usage?.totalTokens} tokens`
  )

  yield* heading("3. The same command a third time")
  const before = yield* requestCount
  const third = yield* Effect.flatMap(start(demo), ({ exit }) => exit)
  const again = yield* decodeAnswer(third.stdout)
  const sent = (yield* requestCount) - before
  yield* claim("the answer is the same", again.content === answer.content && again.responseId === job.id)
  yield* claim("nothing was sent for it", sent === 0, `${sent} requests`)

  yield* heading("4. The provider says: too many requests, try again in a second")
  const limited = yield* Effect.flatMap(
    start(["run", "--model", "openai/gpt-5.5-pro", "--session", "busy", "--json", "Meet a rate limit"]),
    ({ exit }) => exit
  )
  const [refused, taken] = yield* submissionsOf("rate limit")
  const waited = (taken?.at ?? 0) - (refused?.at ?? 0)
  yield* claim("the first submission was refused", refused?.status === 429, `HTTP ${refused?.status}`)
  yield* claim("the second one waited as asked", waited >= 1000, Duration.format(Duration.millis(Math.round(waited))))
  yield* claim("the answer is there", (yield* decodeAnswer(limited.stdout)).content !== "")

  yield* heading("5. The account has no quota left")
  const broke = yield* Effect.flatMap(
    start(["run", "--model", "openai/gpt-5.5-pro", "--session", "broke", "Meet the end of the quota"]),
    ({ exit }) => exit
  )
  const tried = yield* submissionsOf("quota")
  yield* claim("the same status, 429, is told apart from a rate limit", broke.stderr.includes("QuotaExceeded"))
  yield* claim("it was tried once, as waiting cannot help", tried.length === 1, `${tried.length} request`)
  yield* claim("scripts can tell it by the exit code", broke.code === 2, "exit code 2, NonRetryable")

  yield* heading("6. An answer is watched as it grows, and its connection is cut")
  const watched = yield* Effect.flatMap(
    start(["run", "--model", "openai/gpt-5.5-pro", "--session", "watched", "--stream", "Tell a story"]),
    ({ exit }) => exit
  )
  const reopened = (yield* simulator.ledger).requests["responses.stream"] ?? 0
  const told = yield* submissionsOf("Tell a story")
  yield* claim("the stream was cut, and opened again where it was left", reopened === 1, `${reopened} time`)
  yield* claim("the provider saw one submission, not two", told.length === 1, `${told.length} submission`)
  yield* claim(
    "each character was printed once",
    watched.stdout === `${answerTo("Tell a story")}\n`,
    watched.stdout.trim()
  )

  const elapsed = Duration.millis((yield* Clock.currentTimeMillis) - startedAt)
  yield* Console.log(
    `\nAll of it is true, and took ${Math.round(Duration.toSeconds(elapsed))} seconds.\n\n` +
      "With a key of yours:\n" +
      "  export OPENAI_API_KEY=…\n" +
      "  npm start -- run --model openai/gpt-5.5-pro \"Compare the three contracts\"\n" +
      "Without one, against the simulator:\n" +
      "  npm start -- simulate"
  )
}).pipe(Effect.scoped)

/** What the simulated model answers. */
export const answerTo = (prompt: string): string =>
  `You asked "${prompt}". Here is what the model thought about for a while.`

const heading = (text: string) => Console.log(`\n${text}`)

const claim = (text: string, isTrue: boolean, evidence?: string) =>
  isTrue
    ? Console.log(`  ✓ ${text}${evidence === undefined ? "" : `: ${evidence}`}`)
    : Effect.fail(new ClaimFailed({ claim: text }))

const decodeAnswer = (text: string) =>
  Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(LlmResponse)))(text).pipe(
    Effect.mapError(() => new ClaimFailed({ claim: "the command printed an answer" }))
  )

/** Waits until the provider has a job that was polled. */
const polledJob = <E, R>(jobs: Effect.Effect<ReadonlyArray<{ readonly id: string; readonly polls: number }>, E, R>) =>
  Effect.map(jobs, (all) => all.find(({ polls }) => polls > 0)).pipe(
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (job) => job !== undefined }),
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.undefined }),
    Effect.filterOrFail(
      (job) => job !== undefined,
      () => new ClaimFailed({ claim: "the job is polled within 10 seconds" })
    )
  )

const holds = Effect.fnUntraced(function*(fs: FileSystem.FileSystem, store: string, jobId: string) {
  const names = yield* fs.readDirectory(store)
  const texts = yield* Effect.forEach(names, (name) => fs.readFileString(`${store}/${name}`))
  return texts.some((text) => text.includes(jobId))
})
