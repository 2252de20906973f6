import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { Sessions } from "holdfast"
import { inFolder } from "./CommandRunner.ts"

describe("holdfast sessions", () => {
  it.live("says that there are none, and makes no folder", () =>
    inFolder({}, ({ folder, run }) =>
      Effect.gen(function*() {
        const text = yield* run(["sessions", "list"])
        const json = yield* run(["sessions", "list", "--json"])

        assert.deepStrictEqual([text.code, text.stdout], [0, ""])
        assert.match(text.stderr, /There are no sessions in .*sessions/)
        assert.deepStrictEqual(JSON.parse(json.stdout), [])
        assert.isFalse(yield* (yield* FileSystem.FileSystem).exists(`${folder}/sessions`))
      })))

  it.live("lists sessions, also those that cannot be read", () =>
    inFolder({}, ({ folder, run }) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* run(["run", "-s", "good", "Hello"])
        yield* run(["run", "-s", "bad", "Hello"])
        const [bad = ""] = (yield* fs.readDirectory(`${folder}/sessions`)).filter((name) => name.startsWith("bad"))
        const text = yield* fs.readFileString(`${folder}/sessions/${bad}`)
        yield* fs.writeFileString(`${folder}/sessions/${bad}`, text.replace("gpt", "xxx"))
        const listed = yield* run(["sessions", "ls"])
        const json = yield* run(["sessions", "list", "--json"])
        const shown = yield* run(["sessions", "show", "bad"])

        assert.include(shown.stderr, `: ${folder}/sessions/${bad}\n`)
        assert.match(listed.stdout, /^SESSION +STATE +MODEL +SUBMITTED +JOB$/m)
        assert.match(listed.stdout, /^good +settled +openai\/gpt-5\.5-pro +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +resp_\w+$/m)
        assert.match(listed.stdout, /^bad +SessionCorrupt$/m)
        assert.containSubset(JSON.parse(json.stdout), [
          { session: "good", state: "settled" },
          { session: "bad", error: { reason: { _tag: "SessionCorrupt" } } }
        ])
      })))

  it.live("shows a session, what it has cost, and its answer", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        yield* run(["run", "-s", "s", "Hello"])
        const text = yield* run(["sessions", "show", "s"])
        const json = yield* run(["sessions", "show", "s", "--json"])
        const info = yield* decodeInfo(json.stdout)

        assert.match(text.stdout, /^State +settled: answered$/m)
        assert.match(text.stdout, /^ +job resp_\w+, kept until /m)
        assert.include(text.stdout, "You asked: Hello")
        assert.strictEqual(info.settlement?._tag, "Answered")
        assert.match(text.stdout, /^Cost +\$\d+\.\d+$/m)
        assert.match(text.stdout, /^ +openai\/gpt-5\.5-pro, background, cost \$\d+\.\d+$/m)
        assert.containSubset(JSON.parse(json.stdout), {
          cost: { total: { complete: true }, submissions: [{ cost: { matchedModel: "gpt-5.5-pro" } }] }
        })
      })))

  it.live("removes the sessions that are old enough", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        yield* run(["run", "-s", "old", "Hello"])
        yield* Effect.sleep("20 millis")
        const none = yield* run(["sessions", "prune"])
        const some = yield* run(["sessions", "prune", "--older-than", "10ms", "--json"])
        const wrong = yield* run(["sessions", "prune", "--state", "odd"])

        assert.include(none.stderr, "Removed 0 sessions.")
        assert.deepStrictEqual(JSON.parse(some.stdout), { removed: 1 })
        assert.strictEqual(wrong.code, 1)
      })))

  it.live("refuses to forget a running job, cancels it, and forgets it then", () =>
    inFolder(
      { script: [{ do: { _tag: "Job", outcome: "stuck-queued" } }] },
      ({ run, simulator }) =>
        Effect.gen(function*() {
          yield* run(["run", "-s", "s", "--deadline", "1s", "Hello"])
          const refused = yield* run(["sessions", "forget", "s"])
          const cancelled = yield* run(["sessions", "cancel", "s"])
          const resumed = yield* run(["resume", "s"])
          const forgotten = yield* run(["sessions", "forget", "s", "--json"])
          const again = yield* run(["run", "-s", "s", "Hello"])

          assert.strictEqual(refused.code, 3)
          assert.include(refused.stderr, "holdfast sessions cancel s")
          assert.deepStrictEqual([cancelled.code, cancelled.stderr], [0, "Cancelled.\n"])
          assert.strictEqual(resumed.code, 2)
          assert.match(resumed.stderr, /NonRetryable JobCancelled/)
          assert.deepStrictEqual(JSON.parse(forgotten.stdout), { session: "s", forgotten: true })
          assert.strictEqual(again.code, 0)
          assert.strictEqual((yield* simulator.ledger).submissions.length, 2)
        })
    ))

  it.live("forgets a running job by force", () =>
    inFolder({ script: [{ do: { _tag: "Job", outcome: "stuck-queued" } }] }, ({ run }) =>
      Effect.gen(function*() {
        yield* run(["run", "-s", "s", "--deadline", "1s", "Hello"])
        const forgotten = yield* run(["sessions", "forget", "--force", "s"])
        const shown = yield* run(["sessions", "show", "s"])

        assert.strictEqual(forgotten.code, 0)
        assert.strictEqual(shown.code, 2)
        assert.match(shown.stderr, /SessionNotFound[^]*holdfast sessions list/)
      })))

  it.live("adopts the job of an uncertain submission", () =>
    inFolder(
      { script: [{ on: "responses.create", do: { _tag: "Reset", accepted: true } }] },
      ({ run, simulator }) =>
        Effect.gen(function*() {
          const uncertain = yield* run(["run", "-s", "s", "Hello"])
          const wrong = yield* run(["sessions", "adopt", "s", "resp_unknown"])
          const [job] = yield* simulator.jobs
          const adopted = yield* run(["sessions", "adopt", "s", job?.id ?? ""])
          const resumed = yield* run(["resume", "s"])

          assert.strictEqual(uncertain.code, 2)
          assert.match(uncertain.stderr, /NonRetryable SubmissionUncertain/)
          assert.include(uncertain.stderr, "holdfast sessions adopt s JOB_ID")
          assert.include(uncertain.stderr, "holdfast sessions forget --force s")
          assert.strictEqual(wrong.code, 2)
          assert.include(adopted.stderr, "holdfast resume s")
          assert.include(resumed.stdout, "You asked: Hello")
          assert.strictEqual((yield* simulator.ledger).submissions.length, 1)
        })
    ))
})

describe("holdfast resume", () => {
  it.live("knows no session that is not there", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* run(["resume", "nobody", "--json"])

        assert.strictEqual(code, 2)
        assert.match(stderr, /SessionNotFound/)
        assert.containSubset(JSON.parse(stdout), { _tag: "NonRetryable", session: "nobody" })
      })))

  it.live("asks for the command again when no provider has accepted it", () =>
    inFolder(
      { script: [{ times: "always", do: { _tag: "Error", error: "rateLimit" } }] },
      ({ run }) =>
        Effect.gen(function*() {
          yield* run(["run", "-s", "s", "Hello"])
          const { code, stderr } = yield* run(["resume", "s"])

          assert.strictEqual(code, 2)
          assert.match(stderr, /RequestNeeded[^]*Run the original command again with --session s/)
        })
    ))
})

const decodeInfo = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(Sessions.SessionInfo)))
