import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as ErrorReport from "../../src/cli/ErrorReport.ts"
import { NotFound, QuotaExceeded, RateLimited } from "../../src/errors/Reason.ts"
import { NonRetryable, Retryable, Timeout } from "../../src/errors/StrategyError.ts"

describe("ErrorReport", () => {
  const passedOver = [
    { model: "openai/gpt-5", reason: new QuotaExceeded({ message: "No\nmoney" }) },
    { model: "groq/llama", reason: new NotFound({ message: "Unknown" }) }
  ]
  const minute = Duration.minutes(1)

  it.each([
    new Retryable({ reason: new RateLimited({ message: "Slow" }), attempts: 1, session: "s", passedOver }),
    new NonRetryable({ reason: new NotFound({ message: "No" }), session: "s", passedOver }),
    new Timeout({ deadline: minute, elapsed: minute, phase: "submit", session: "s", passedOver })
  ])("names the models that could not answer before: $_tag", (error) => {
    const lines = ErrorReport.what(error).split("\n")

    assert.deepStrictEqual(lines.slice(1), [
      "  before it, openai/gpt-5: QuotaExceeded, No money",
      "  before it, groq/llama: NotFound, Unknown",
      "  session s"
    ])
  })

  it("says nothing of them where there are none", () => {
    assert.notInclude(ErrorReport.what(new NonRetryable({ reason: new NotFound({ message: "No" }) })), "before it")
  })
})
