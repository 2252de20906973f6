import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { readFileSync } from "node:fs"
import * as Reason from "../../src/errors/Reason.ts"
import { LlmResponse } from "../../src/services/LlmResponse.ts"
import * as Session from "../../src/services/Session.ts"
import * as SessionStore from "../../src/services/SessionStore.ts"
import { SuiteError } from "../../src/testing/SessionStoreSuite.ts"
import { sampleEntries } from "../../src/testing/internal/SessionSamples.ts"

describe("Session", () => {
  describe("fold", () => {
    it("gives no state to an empty journal", () => {
      assert.deepStrictEqual(Session.fold([]), Session.emptyState)
    })

    it.prop("is total, and the same when entries are applied one by one", { steps: Steps }, ({ steps }) => {
      const entries = steps.map(entryOf)
      const state = Session.fold(entries)

      assert.deepStrictEqual(entries.reduce(Session.apply, Session.emptyState), state)
      assert.include(Session.SessionStatus.literals, Session.statusOf(state, 1))
    })

    it.prop("agrees with what the entries say of each submission", { steps: Steps }, ({ steps }) => {
      const entries = steps.map(entryOf)
      const state = Session.fold(entries)

      assert.deepStrictEqual(state.submissions.map(({ id }) => id), idsOf(entries).submissions)
      for (const submission of state.submissions.filter(({ id }) => !isSecond(id))) {
        const about = known(entries).filter((entry) => "submissionId" in entry && entry.submissionId === submission.id)
        const ended = about.find((entry) => entry._tag === "Ended")
        const refused = about.findLast((entry) => entry._tag === "NotSubmitted")
        assert.strictEqual(submission.renewals, about.filter((entry) => entry._tag === "Submitting").length)
        assert.strictEqual(submission.sent, about.find((entry) => entry._tag === "Submitting"))
        assert.strictEqual(submission.accepted, about.find((entry) => entry._tag === "Accepted"))
        assert.strictEqual(submission.closed, ended ?? refused)
        assert.strictEqual(submission.cancelRequested, about.some((entry) => entry._tag === "CancelRequested"))
      }
    })

    it.prop("lets the first Prepared and the first Settled win", { steps: Steps }, ({ steps }) => {
      const entries = steps.map(entryOf)
      const { fingerprint, settled } = Session.fold(entries)

      assert.strictEqual(settled, entries.find((entry) => entry._tag === "Settled"))
      assert.strictEqual(fingerprint, entries.find((entry) => entry._tag === "Prepared")?.fingerprint)
    })

    it.prop("never changes what was settled, whatever follows", { steps: Steps, more: Steps }, ({ more, steps }) => {
      const entries = [...steps.map(entryOf), entryOf({ kind: "Settled", id: "a", mark: "first" })]
      const before = Session.fold(entries)
      const after = Session.fold([...entries, ...more.map(entryOf)])

      assert.strictEqual(after.settled, before.settled)
      assert.isTrue(Session.isSettled(after))
      assert.strictEqual(Session.statusOf(after, 1), Session.statusOf(before, 1))
    })

    it.prop("never loses a job, even one accepted after the session was settled", {
      steps: Steps,
      more: Steps
    }, ({ more, steps }) => {
      const entries = [
        ...steps.map(entryOf),
        entryOf({ kind: "Submitting", id: "late", mark: "1" }),
        entryOf({ kind: "Settled", id: "a", mark: "first" }),
        entryOf({ kind: "Accepted", id: "late", mark: "surplus" }),
        ...more.map(entryOf)
      ]
      const jobs = Session.jobsOf(Session.fold(entries))

      assert.include(jobs.map((job) => job.accepted.jobId), "surplus")
    })

    it.prop("takes the jobs in the order in which they were accepted, but for those that ended", {
      steps: Steps
    }, ({ steps }) => {
      const entries = steps.map(entryOf)
      const counting = known(entries)
      const jobs = Session.jobsOf(Session.fold(entries))
      const ended = new Set(counting.flatMap((entry) => entry._tag === "Ended" ? [entry.submissionId] : []))

      assert.deepStrictEqual(jobs.map(({ id }) => id), idsOf(entries).accepted.filter((id) => !ended.has(id)))
    })

    it.prop("passes over what is said of submissions that were not sent", { steps: Steps }, ({ steps }) => {
      const entries = steps.map(entryOf)

      assert.deepStrictEqual(Session.fold(entries), Session.fold(known(entries)))
    })

    it.prop("takes an entry that was appended twice as one, but for a renewal", {
      steps: Steps,
      at: Schema.Natural
    }, ({ at, steps }) => {
      const entries = steps.map(entryOf)
      const index = entries.length === 0 ? 0 : at % entries.length
      const twice = entries.toSpliced(index, 0, ...entries.slice(index, index + 1))
      if (entries[index]?._tag === "Submitting") return

      assert.deepStrictEqual(Session.fold(twice), Session.fold(entries))
    })

    it("says of a job that the provider never knew it, and takes it as the same job", () => {
      const accepted = Session.Accepted.make({ at: 2, submissionId: "a", jobId: "1" })
      const entries = [entryOf({ kind: "Submitting", id: "a", mark: "1" }), accepted]
      const state = Session.fold([...entries, { ...accepted, at: 9, ignoredBackground: true }])

      assert.deepStrictEqual(state.submissions.map(({ accepted }) => accepted), [{
        ...accepted,
        ignoredBackground: true
      }])
      assert.deepStrictEqual(state.acceptances, ["a"])
    })

    it.each([
      { requests: [true], forFallback: true },
      { requests: [undefined], forFallback: undefined },
      { requests: [true, undefined], forFallback: undefined },
      { requests: [undefined, true], forFallback: undefined },
      { requests: [true, undefined, true], forFallback: undefined },
      { requests: [true, true], forFallback: true }
    ])(
      "stops a job for another model only if nobody wants all of it stopped: $requests",
      ({ forFallback, requests }) => {
        const state = Session.fold([
          entryOf({ kind: "Submitting", id: "a", mark: "1" }),
          ...requests.map((forFallback) =>
            Session.CancelRequested.make({ at: 1, submissionId: "a", ...(forFallback ? { forFallback } : {}) })
          )
        ])

        assert.isTrue(state.submissions[0]?.cancelRequested)
        assert.strictEqual(state.submissions[0]?.forFallback, forFallback)
      }
    )

    it("keeps the state as it was for who holds it", () => {
      const before = Session.fold([entryOf({ kind: "Submitting", id: "a", mark: "1" })])
      Session.apply(before, entryOf({ kind: "Accepted", id: "a", mark: "2" }))

      assert.isUndefined(before.submissions[0]?.accepted)
      assert.deepStrictEqual(before.acceptances, [])
    })
  })

  describe("openSubmission", () => {
    it.prop("is the last submission that was neither accepted nor closed", { steps: Steps }, ({ steps }) => {
      const state = Session.fold(steps.map(entryOf))
      const open = state.submissions.filter(({ accepted, closed }) => accepted === undefined && closed === undefined)

      assert.strictEqual(Session.openSubmission(state), open.at(-1))
    })
  })

  describe("EntryJson", () => {
    it.effect("carries every kind of entry through JSON text and back", () =>
      Effect.gen(function*() {
        for (const entry of sampleEntries("ünïcode \ud83d\ude80 \ud800 \u0000\n\u001e\"")) {
          const text = JSON.stringify(yield* Schema.encodeEffect(Session.EntryJson)(entry))
          const back = yield* Schema.decodeUnknownEffect(Session.EntryJson)(JSON.parse(text))

          assert.deepStrictEqual(back, entry)
          assert.strictEqual(JSON.stringify(yield* Schema.encodeEffect(Session.EntryJson)(back)), text)
          assert.notInclude(text, "\u001e")
          assert.notInclude(text, "\n")
        }
      }))

    it.effect("reads what format 1 has written, every kind of entry and every reason, and writes it as it was", () =>
      Effect.gen(function*() {
        const lines = readFileSync(new URL("fixtures/session-entries-1.jsonl", import.meta.url), "utf8").trim().split(
          "\n"
        )
        const entries = yield* Effect.forEach(lines, (line) => Schema.decodeEffect(EntryText)(line))
        const written = yield* Effect.forEach(entries, (entry) => Schema.encodeEffect(EntryText)(entry))
        const reasons = entries.flatMap((entry) => entry._tag === "Ended" ? [entry.reason._tag] : [])

        assert.deepStrictEqual(written, lines)
        assert.sameMembers([...new Set(entries.map(({ _tag }) => _tag))], tagsOf(Session.Entry))
        assert.sameMembers(reasons, [
          ...new Set([...tagsOf(Reason.RetryableReason), ...tagsOf(Reason.NonRetryableReason)])
        ])
      }))

    it.effect("gives an answer back as an LlmResponse", () =>
      Effect.gen(function*() {
        const json = yield* Schema.encodeEffect(Session.EntryJson)(sampleEntries("text").at(-1)!)
        const entry = yield* Schema.decodeEffect(Session.EntryJson)(json)

        assert(entry._tag === "Settled" && entry.settlement._tag === "Answered")
        assert.instanceOf(entry.settlement.answer, LlmResponse)
      }))

    it.effect.each([
      { entry: { _tag: "Prepared", v: 2, at: 1, fingerprint: "f" } },
      { entry: { _tag: "Prepared", at: 1, fingerprint: "f" } },
      { entry: { _tag: "Prepared", v: 1, at: 1 } },
      { entry: { _tag: "Settled", v: 1, at: 1, submissionId: "s" } },
      { entry: { _tag: "Settled", v: 1, at: 1, submissionId: "s", settlement: { _tag: "Answered" } } },
      { entry: { _tag: "Other", v: 1, at: 1 } },
      { entry: null }
    ])("does not take $entry for an entry", ({ entry }: { readonly entry: unknown }) =>
      Effect.gen(function*() {
        assert.isTrue(Result.isFailure(yield* Effect.result(Schema.decodeUnknownEffect(Session.EntryJson)(entry))))
      }))
  })

  describe("compare-and-append", () => {
    it.effect("lets one of many runs submit, and the others see its job", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const jobs = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, index) => `run-${index}`),
          (id) => runOnce(store, id),
          { concurrency: "unbounded" }
        )
        const state = Session.fold((yield* store.load("key")).entries)

        assert.strictEqual(state.submissions.length, 1)
        assert.deepStrictEqual(new Set(jobs), new Set([`job of ${state.submissions[0]?.id}`]))
      }))
  })
})

const EntryText = Schema.fromJsonString(Session.EntryJson)

const tagsOf = <Tag extends string>(
  union: { readonly members: ReadonlyArray<{ readonly fields: { readonly _tag: Schema.tag<Tag> } }> }
): Array<Tag> => union.members.map(({ fields }) => fields._tag.schema.literal)

const Step = Schema.Struct({
  kind: Schema.Literals([
    "Prepared",
    "Submitting",
    "NotSubmitted",
    "Accepted",
    "Ended",
    "CancelRequested",
    "Settled"
  ]),
  id: Schema.Literals(["a", "b", "c"]),
  mark: Schema.Literals(["1", "2", "3"])
})

const Steps = Schema.Array(Step)

/** An entry of this kind; entries of one kind differ by `mark` alone. */
const entryOf = (
  { id, kind, mark }: { readonly kind: (typeof Step.Type)["kind"]; readonly id: string; readonly mark: string }
): Session.Entry => {
  const [, submitting, notSubmitted, , , ended] = sampleEntries(mark)
  switch (kind) {
    case "Prepared":
      return Session.Prepared.make({ at: 1, fingerprint: mark })
    case "Submitting":
      return { ...(submitting as typeof Session.Submitting.Type), submissionId: id }
    case "NotSubmitted":
      return { ...(notSubmitted as typeof Session.NotSubmitted.Type), submissionId: id }
    case "Accepted":
      return Session.Accepted.make({ at: 1, submissionId: id, jobId: mark })
    case "Ended":
      return { ...(ended as typeof Session.Ended.Type), submissionId: id }
    case "CancelRequested":
      return Session.CancelRequested.make({ at: 1, submissionId: id })
    case "Settled":
      return Session.Settled.make({ at: 1, submissionId: id, settlement: { _tag: "Reference", jobId: mark } })
  }
}

/** The entries without those about a submission that was not sent before them. */
const known = (entries: ReadonlyArray<Session.Entry>): ReadonlyArray<Session.Entry> => {
  const sent = new Set<string>()
  return entries.filter((entry) => {
    if (entry._tag === "Submitting") sent.add(entry.submissionId)
    return entry._tag === "Prepared" || entry._tag === "Settled" || sent.has(entry.submissionId)
  })
}

/** The submissions and the accepted ones, a second job of one submission as one of its own. */
const idsOf = (entries: ReadonlyArray<Session.Entry>) => {
  const firstJobs = new Map<string, string>()
  const submissions = new Set<string>()
  const accepted = new Set<string>()
  for (const entry of known(entries)) {
    if (entry._tag === "Submitting") submissions.add(entry.submissionId)
    if (entry._tag !== "Accepted") continue
    const { jobId, submissionId } = entry
    const firstJob = firstJobs.get(submissionId) ?? jobId
    firstJobs.set(submissionId, firstJob)
    const id = firstJob === jobId ? submissionId : `${submissionId}+${jobId}`
    submissions.add(id)
    accepted.add(id)
  }
  return { submissions: [...submissions], accepted: [...accepted] }
}

const isSecond = (id: string): boolean => id.includes("+")

/** The rule of who may submit, in its simplest form: returns the job that the run waits for. */
const runOnce = Effect.fnUntraced(function*(store: SessionStore.SessionStore["Service"], id: string) {
  for (let turn = 0; turn < 1000; turn++) {
    const { entries, version } = yield* store.load("key")
    const state = Session.fold(entries)
    const [job] = Session.jobsOf(state)
    if (job !== undefined) return job.accepted.jobId
    const open = Session.openSubmission(state)
    const next = state.fingerprint === undefined
      ? entryOf({ kind: "Prepared", id, mark: "1" })
      : open === undefined
      ? entryOf({ kind: "Submitting", id, mark: "1" })
      : open.id === id
      ? entryOf({ kind: "Accepted", id, mark: `job of ${id}` })
      : undefined
    yield* Effect.yieldNow
    if (next !== undefined) yield* Effect.ignore(store.append("key", next, version))
  }
  return yield* new SuiteError({ message: "The run has not come to an end" })
})
