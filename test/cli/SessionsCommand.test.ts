import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, FileSystem, Schema } from "effect"
import { Session, Sessions, SessionStore } from "holdfast"
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
        assert.match(listed.stdout, /^SESSION +STATUS +MODEL +SUBMITTED +JOB$/m)
        assert.match(
          listed.stdout,
          /^good +answered +openai\/gpt-5\.5-pro +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +resp_\w+$/m
        )
        assert.match(listed.stdout, /^bad +SessionCorrupt$/m)
        assert.containSubset(JSON.parse(json.stdout), [
          { session: "good", status: "answered" },
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

        assert.match(text.stdout, /^Status +answered: the answer is final$/m)
        assert.match(text.stdout, /^ +job resp_\w+, kept until /m)
        assert.include(text.stdout, "You asked: Hello")
        assert.strictEqual(info.settlement?._tag, "Answered")
        assert.match(text.stdout, /^Cost +\$\d+\.\d+$/m)
        assert.match(text.stdout, /^ +openai\/gpt-5\.5-pro, background, cost \$\d+\.\d+$/m)
        assert.containSubset(JSON.parse(json.stdout), {
          cost: { total: { complete: true }, submissions: [{ cost: { matchedModel: "gpt-5.5-pro" } }] }
        })
      })))

  it.live("lists and shows a session whose request was refused for good, and the sessions with a status", () =>
    inFolder(
      { script: [{ on: "responses.create", match: "much", do: { _tag: "Error", error: "quota" } }] },
      ({ run }) =>
        Effect.gen(function*() {
          yield* run(["run", "-s", "broke", "How much?"])
          yield* run(["run", "-s", "good", "Hello"])
          const all = yield* run(["sessions", "list"])
          const failed = yield* run(["sessions", "list", "--status", "failed", "--status", "uncertain"])
          const none = yield* run(["sessions", "list", "--status", "running", "--status", "uncertain"])
          const json = yield* run(["sessions", "list", "--status", "failed", "--json"])
          const shown = yield* run(["sessions", "show", "broke"])

          assert.match(all.stdout, /^broke +failed \(QuotaExceeded\) +openai\/gpt-5\.5-pro +\d{4}-\S+ \S+$/m)
          assert.match(all.stdout, /^good +answered /m)
          assert.strictEqual(all.stderr, "")
          assert.match(failed.stdout, /^broke /m)
          assert.notMatch(failed.stdout, /^good /m)
          assert.deepStrictEqual([none.code, none.stdout], [0, ""])
          assert.include(none.stderr, "There are no running or uncertain sessions in ")
          assert.containSubset(JSON.parse(json.stdout), [
            { session: "broke", status: "failed", attempts: 1, lastFailure: { _tag: "QuotaExceeded" } }
          ])
          assert.match(
            shown.stdout,
            /^Status +failed \(QuotaExceeded\): to wait does not help; the next run sends another/m
          )
        })
    ))

  it.live("says of a session whose process was killed during the submission that it is uncertain, and what to do", () =>
    inFolder({}, ({ folder, run }) =>
      Effect.gen(function*() {
        const submitting = (at: number) =>
          Session.Submitting.make({
            at,
            submissionId: "sub-1",
            purpose: "answer",
            provider: "openai",
            model: "openai/gpt-5.5-pro",
            strategy: "background",
            submitTimeout: 60_000,
            store: true
          })
        yield* Effect.gen(function*() {
          const store = yield* SessionStore.SessionStore
          const now = yield* Clock.currentTimeMillis
          yield* store.append("killed", submitting(now - 61_000), Session.noVersion)
          yield* store.append("young", submitting(now), Session.noVersion)
        }).pipe(Effect.provide(SessionStore.layerFileSystem({ directory: `${folder}/sessions` })))
        const listed = yield* run(["sessions", "list"])
        const json = yield* run(["sessions", "list", "--json"])
        const shown = yield* run(["sessions", "show", "killed"])
        const young = yield* run(["sessions", "show", "young"])
        const early = yield* run(["sessions", "resubmit", "young"])
        const cancelled = yield* run(["sessions", "cancel", "killed"])
        const allowed = yield* run(["sessions", "resubmit", "killed", "--json"])
        const nothing = yield* run(["sessions", "resubmit", "killed"])

        assert.match(listed.stdout, /^killed +uncertain +openai/m)
        assert.match(listed.stdout, /^young +submitting +openai/m)
        assert.include(listed.stderr, "1 session may have a job whose id is not known.")
        assert.include(listed.stderr, "\n  holdfast sessions show killed\n")
        assert.strictEqual(JSON.parse(json.stdout).length, 2)
        assert.match(shown.stdout, /^Status +uncertain: a request was sent, and its outcome is not known$/m)
        assert.include(shown.stdout, "metadata holdfast_submission = sub-1\n")
        assert.include(shown.stdout, "holdfast sessions adopt killed JOB_ID\n")
        assert.include(shown.stdout, "holdfast sessions resubmit killed\n")
        assert.match(young.stdout, /^Status +submitting: /m)
        assert.notInclude(young.stdout, "adopt")
        assert.strictEqual(early.code, 3)
        assert.match(early.stderr, /Conflict[^]*may still be waiting/)
        assert.strictEqual(allowed.code, 0)
        assert.include(allowed.stderr, "The next run of killed submits again")
        assert.strictEqual(JSON.parse(allowed.stdout).submissions[0].state, "refused")
        assert.strictEqual(nothing.code, 2)
        assert.include(cancelled.stderr, "The cancel is noted, but the job has not ended yet.")
      })))

  it.live("removes the sessions that are old enough", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        yield* run(["run", "-s", "old", "Hello"])
        yield* Effect.sleep("20 millis")
        const none = yield* run(["sessions", "prune"])
        const other = yield* run(["sessions", "prune", "--older-than", "10ms", "--status", "failed"])
        const some = yield* run(["sessions", "prune", "--older-than", "10ms", "--json"])
        const wrong = yield* run(["sessions", "prune", "--status", "odd"])

        assert.include(none.stderr, "Removed 0 sessions.")
        assert.include(other.stderr, "Removed 0 sessions.")
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
          assert.include(uncertain.stderr, "holdfast sessions resubmit s")
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

const decodeInfo = Schema.decodeEffect(Schema.fromJsonString(Sessions.SessionInfoJson))
