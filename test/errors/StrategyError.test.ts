import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { expectTypeOf } from "vitest"
import { ProviderError } from "../../src/errors/ProviderError.ts"
import * as Reason from "../../src/errors/Reason.ts"
import { NonRetryable, Retryable, StrategyError, Timeout } from "../../src/errors/StrategyError.ts"
import { Usage } from "../../src/errors/Usage.ts"

describe("StrategyError", () => {
  describe("goes to JSON and back", () => {
    it.each(retryables)("as Retryable with the reason $_tag", (reason) => {
      const error = new Retryable({
        reason,
        retryAfter: Duration.millis(1500),
        attempts: 3,
        session: "contract-42",
        jobId: "resp_1"
      })

      assertRoundTrip(error)
    })

    it.each(nonRetryables)("as NonRetryable with the reason $_tag", (reason) => {
      assertRoundTrip(new NonRetryable({ reason, session: "contract-42", jobId: "resp_1" }))
    })

    it("as Timeout in every phase", () => {
      for (const phase of ["submit", "queued", "running", "stream"] as const) {
        assertRoundTrip(
          new Timeout({ deadline: Duration.minutes(60), elapsed: Duration.millis(3_600_001), phase, jobId: "resp_1" })
        )
      }
    })

    it("without what is absent", () => {
      assertRoundTrip(new Retryable({ reason: new Reason.RateLimited({ message: "Words" }), attempts: 0 }))
      assertRoundTrip(new NonRetryable({ reason: new Reason.NotFound({ message: "" }) }))
    })

    it("as ProviderError, with floor and hint", () => {
      const error = new ProviderError({
        verdict: {
          _tag: "Retryable",
          reason: new Reason.RateLimited(said),
          retryAfter: Duration.zero,
          retryHint: Duration.seconds(2)
        },
        evidence: "Refused"
      })
      const codec = Schema.toCodecJson(ProviderError)
      const back = Schema.decodeSync(codec)(throughText(Schema.encodeSync(codec)(error)))

      assert.deepStrictEqual(back, error)
      assert.instanceOf(back.verdict.reason, Reason.RateLimited)
      assert.isTrue(back.isRetryable)
    })

    it("has every reason of the two unions in these tests", () => {
      assert.deepStrictEqual(
        tagsOf(retryables),
        tagsOf(Reason.RetryableReason.members.map((member) => member.prototype))
      )
      assert.deepStrictEqual(
        tagsOf(nonRetryables),
        tagsOf(Reason.NonRetryableReason.members.map((member) => member.prototype))
      )
    })
  })

  it("says in its message what happened", () => {
    assert.strictEqual(
      new Retryable({ reason: new Reason.Overloaded({ message: "Busy" }), attempts: 1 }).message,
      "Overloaded: Busy"
    )
    assert.strictEqual(
      new NonRetryable({ reason: new Reason.QuotaExceeded({ message: "Empty" }) }).message,
      "QuotaExceeded: Empty"
    )
    assert.strictEqual(
      new Timeout({ deadline: Duration.minutes(60), elapsed: Duration.minutes(61), phase: "queued" }).message,
      "Not finished within 1h, still in phase queued"
    )
  })

  it.effect("is caught by tag", () =>
    Effect.gen(function*() {
      const caught = yield* Effect.forEach(errors, (error) =>
        failing(error).pipe(
          Effect.catchTag("Retryable", (error) => Effect.succeed(`later ${error.attempts}`)),
          Effect.catchTag(["NonRetryable", "Timeout"], (error) => Effect.succeed(error._tag))
        ))

      assert.deepStrictEqual(caught, ["later 2", "NonRetryable", "Timeout"])
    }))

  it.effect("is caught by tags, exhaustively", () =>
    Effect.gen(function*() {
      const handle = (error: StrategyError) =>
        failing(error).pipe(
          Effect.catchTags({
            Retryable: (error) => Effect.succeed(error.reason._tag),
            NonRetryable: (error) => Effect.succeed(error.reason._tag),
            Timeout: (error) => Effect.succeed(error.phase)
          })
        )
      const caught = yield* Effect.forEach(errors, handle)

      assert.deepStrictEqual(caught, ["RateLimited", "ContentFiltered", "running"])
      expectTypeOf(handle).returns.toExtend<Effect.Effect<unknown, never>>()
    }))

  it.effect("is caught by reason, and only by that", () =>
    Effect.gen(function*() {
      const caught = yield* Effect.forEach(errors, (error) =>
        failing(error).pipe(
          Effect.catchReason("Retryable", "RateLimited", (reason, error) =>
            Effect.succeed(
              `${reason.status} ${error.retryAfter === undefined ? "" : Duration.format(error.retryAfter)}`
            )),
          Effect.catchReason("NonRetryable", "ContentFiltered", (reason) => Effect.succeed(reason.content)),
          Effect.catchReason("NonRetryable", "QuotaExceeded", () => Effect.succeed("never")),
          Effect.catchTag(["Retryable", "NonRetryable", "Timeout"], (error) => Effect.succeed(`other ${error._tag}`))
        ))

      assert.deepStrictEqual(caught, ["429 20s", "partial", "other Timeout"])
    }))

  it("offers to catchReason what can be there, and nothing else", () => {
    const fails = failing(errors[0])

    // @ts-expect-error a quota is never retryable
    void Effect.catchReason(fails, "Retryable", "QuotaExceeded", () => Effect.void)
    // @ts-expect-error a rate limit is always retryable
    void Effect.catchReason(fails, "NonRetryable", "RateLimited", () => Effect.void)
    // @ts-expect-error a deadline has no reason
    void Effect.catchReason(fails, "Timeout", "Network", () => Effect.void)

    expectTypeOf<Retryable["reason"]["_tag"]>().toEqualTypeOf<
      | "RateLimited"
      | "Overloaded"
      | "ServerError"
      | "Network"
      | "Conflict"
      | "InvalidResponse"
      | "JobFailed"
      | "StreamInterrupted"
      | "CircuitOpen"
      | "SessionUnavailable"
    >()
    expectTypeOf<NonRetryable["reason"]["_tag"]>().toEqualTypeOf<
      | "QuotaExceeded"
      | "AuthenticationFailed"
      | "PermissionDenied"
      | "NotFound"
      | "InvalidRequest"
      | "ContextLengthExceeded"
      | "ContentFiltered"
      | "Refusal"
      | "EmptyContent"
      | "Incomplete"
      | "InvalidOutput"
      | "JobFailed"
      | "JobCancelled"
      | "JobExpired"
      | "ResponseTooLarge"
      | "SubmissionUncertain"
      | "SessionMismatch"
      | "SessionNotFound"
      | "RequestNeeded"
      | "SessionCorrupt"
      | "ProviderNotConfigured"
      | "Network"
    >()
    expectTypeOf<StrategyError["_tag"]>().toEqualTypeOf<"Retryable" | "NonRetryable" | "Timeout">()
  })

  it("gives every reason what the provider said", () => {
    expectTypeOf<Retryable["reason"]>().toExtend<Reason.ReasonFields>()
    expectTypeOf<NonRetryable["reason"]>().toExtend<Reason.ReasonFields>()
    expectTypeOf<Reason.ReasonFields["message"]>().toEqualTypeOf<string>()
    expectTypeOf<Reason.ReasonFields["status"]>().toEqualTypeOf<number | undefined>()
  })
})

const said: Reason.ReasonFields = {
  message: "Words – \"quoted\" \u{1F600}",
  status: 429,
  code: "a_code",
  type: "a_type",
  param: "input[3].content",
  requestId: "req_1",
  provider: "openai",
  inferred: true
}

const usage = new Usage({
  inputTokens: 10,
  cacheReadTokens: 2,
  cacheWriteTokens: 3,
  outputTokens: 5,
  reasoningTokens: 7,
  totalTokens: 27
})

const retryables: Array<Reason.RetryableReason> = [
  new Reason.RateLimited(said),
  new Reason.Overloaded(said),
  new Reason.ServerError(said),
  new Reason.Network(said),
  new Reason.Conflict(said),
  new Reason.InvalidResponse(said),
  new Reason.JobFailed({ ...said, reason: new Reason.ServerError(said), usage }),
  new Reason.StreamInterrupted({ ...said, content: "partial", usage }),
  new Reason.CircuitOpen(said),
  new Reason.SessionUnavailable(said)
]

const nonRetryables: Array<Reason.NonRetryableReason> = [
  new Reason.QuotaExceeded(said),
  new Reason.AuthenticationFailed(said),
  new Reason.PermissionDenied(said),
  new Reason.NotFound(said),
  new Reason.InvalidRequest(said),
  new Reason.ContextLengthExceeded(said),
  new Reason.ContentFiltered({ ...said, content: "partial", usage }),
  new Reason.Refusal({ ...said, content: "", usage }),
  new Reason.EmptyContent({ ...said, usage }),
  new Reason.Incomplete({ ...said, content: "partial", usage, limit: "max_output_tokens" }),
  new Reason.InvalidOutput({ ...said, content: "{}", usage }),
  new Reason.JobFailed({ ...said, reason: new Reason.ContentFiltered({ ...said, content: "partial" }), usage }),
  new Reason.JobCancelled({ ...said, content: "partial", usage }),
  new Reason.JobExpired(said),
  new Reason.ResponseTooLarge({ ...said, limit: 67_108_864 }),
  new Reason.SubmissionUncertain({ ...said, submissionId: "sub_1" }),
  new Reason.SessionMismatch(said),
  new Reason.SessionNotFound(said),
  new Reason.RequestNeeded(said),
  new Reason.SessionCorrupt(said),
  new Reason.ProviderNotConfigured({ ...said, variable: "OPENAI_API_KEY" }),
  new Reason.Network(said)
]

const errors: readonly [StrategyError, StrategyError, StrategyError] = [
  new Retryable({ reason: new Reason.RateLimited(said), retryAfter: Duration.seconds(20), attempts: 2 }),
  new NonRetryable({ reason: new Reason.ContentFiltered({ ...said, content: "partial" }) }),
  new Timeout({ deadline: Duration.minutes(60), elapsed: Duration.minutes(60), phase: "running" })
]

const failing = (error: StrategyError): Effect.Effect<never, StrategyError> => Effect.fail(error)

const codec = Schema.toCodecJson(StrategyError)

const throughText = <A>(value: A): A => JSON.parse(JSON.stringify(value)) as A

const assertRoundTrip = (error: StrategyError): void => {
  const back = Schema.decodeSync(codec)(throughText(Schema.encodeSync(codec)(error)))

  assert.deepStrictEqual(back, error)
  assert.instanceOf(back, Error)
  assert.strictEqual(Object.getPrototypeOf(back), Object.getPrototypeOf(error))
  if (back._tag !== "Timeout" && error._tag !== "Timeout") {
    assert.strictEqual(Object.getPrototypeOf(back.reason), Object.getPrototypeOf(error.reason))
  }
}

const tagsOf = (reasons: ReadonlyArray<{ readonly _tag?: unknown; readonly name?: unknown }>): ReadonlyArray<string> =>
  reasons.map((reason) => String(reason.name)).sort()
