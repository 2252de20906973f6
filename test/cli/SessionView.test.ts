import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import { type Cost, PriceCatalog, Sessions } from "holdfast"
import * as Dollars from "../../src/cli/Dollars.ts"
import * as SessionView from "../../src/cli/SessionView.ts"

describe("SessionView.details", () => {
  it("tells what each submission has cost, and all together", () => {
    const text = detailsOf([price(12_500_000), "none", price(135_000_000, "claude-sonnet-5")])

    assert.match(text, /^Cost {5}\$0\.1475$/m)
    assert.match(text, /^Submission 1, .*\n {2}openai\/gpt-5, background, cost \$0\.0125$/m)
    assert.match(text, /^Submission 2, .*\n {2}openai\/gpt-5, background, cost nothing$/m)
    assert.match(text, /^ {2}openai\/gpt-5, background, cost \$0\.135, by the price of claude-sonnet-5$/m)
  })

  it.each<[string, ReadonlyArray<Cost.SubmissionCost["cost"]>, string]>([
    ["one is not known", [price(12_500_000), "unknown"], "$0.0125 and what is not known of 1 submission"],
    ["two are not known", [price(0), "unknown", "unknown"], "$0.00 and what is not known of 2 submissions"],
    ["none is known", ["unknown", "none"], "unknown"],
    ["nothing was taken", ["none", "none"], "$0.00"]
  ])("tells the sum when %s", (_, costs, expected) => {
    assert.include(detailsOf(costs), `\nCost     ${expected}\n`)
  })

  it("tells that a provider ignores background", () => {
    const ignores = "the provider took it as a background job, and does not run those"

    assert.include(detailsOf(["none"], { ignoredBackground: true }), `\n  ${ignores}`)
    assert.notInclude(detailsOf(["none"]), ignores)
  })

  it("tells no cost before anything is sent", () => {
    assert.notInclude(detailsOf([]), "Cost")
  })
})

describe("Dollars", () => {
  it.each([[0, "$0.00"], [1, "$0.000000001"], [270_000_000, "$0.27"], [12_500_000, "$0.0125"], [3e12, "$3000.00"]])(
    "writes %d nano-dollars as %s",
    (nanoUsd, expected) => {
      assert.strictEqual(Dollars.format(nanoUsd), expected)
    }
  )
})

const price = (nanoUsd: number, prefixOf?: string): PriceCatalog.Price =>
  new PriceCatalog.Price({
    usd: nanoUsd / 1e9,
    nanoUsd,
    source: "prices",
    matchedModel: prefixOf ?? "gpt-5",
    matchedBy: prefixOf === undefined ? "exact" : "prefix",
    priceSource: "genai-prices/openai",
    factor: 1,
    parts: { input: nanoUsd, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0, request: 0, webSearch: 0 }
  })

const detailsOf = (
  costs: ReadonlyArray<Cost.SubmissionCost["cost"]>,
  facts: { readonly ignoredBackground?: boolean } = {}
): string => {
  const submissions = costs.map((cost, index) => ({ submissionId: `${index}`, cost }))
  const nanoUsd = costs.reduce<number>((sum, cost) => typeof cost === "string" ? sum : sum + cost.nanoUsd, 0)
  const unknown = costs.filter((cost) => cost === "unknown").length
  return SessionView.details(
    new Sessions.SessionInfo({
      session: "s",
      state: "settled",
      submissions: costs.map((_, index) =>
        new Sessions.SubmissionInfo({
          submissionId: `${index}`,
          at: DateTime.makeUnsafe(0),
          provider: "openai",
          model: "openai/gpt-5",
          strategy: "background",
          state: "ended",
          cancelRequested: false,
          ...facts
        })
      )
    }),
    { submissions, total: { usd: nanoUsd / 1e9, nanoUsd, unknown, complete: unknown === 0 } }
  )
}
