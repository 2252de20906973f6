import { assert, describe, it } from "@effect/vitest"
import { backgroundProviders, providers, responsesHosts } from "../../../src/services/internal/ModelRules.ts"
import { providerTable } from "../../../src/services/providers/ProviderTable.ts"

describe("ProviderTable", () => {
  it("has one row for each prefix that ModelCatalog knows, in its order", () => {
    assert.deepStrictEqual(providerTable.map(({ prefix }) => prefix), [...providers])
  })

  it("agrees with ModelCatalog on who has a Responses endpoint", () => {
    assert.deepStrictEqual(
      providerTable.filter(({ responses }) => responses).map(({ prefix }) => prefix),
      [...responsesHosts]
    )
  })

  it("agrees with ModelCatalog on who runs Responses as background jobs", () => {
    assert.deepStrictEqual(
      providerTable.filter(({ background, responses }) => background && responses).map(({ prefix }) => prefix),
      [...backgroundProviders]
    )
  })

  it("has the background jobs of Anthropic and Gemini, which are no Responses", () => {
    assert.deepStrictEqual(
      providerTable.filter(({ background, responses }) => background && !responses).map(({ prefix }) => prefix),
      ["anthropic", "gemini"]
    )
  })

  for (const row of providerTable) {
    it(`can be used as it is: ${row.prefix}`, () => {
      const prefix = row.prefix.toUpperCase()
      assert.includeMembers([...row.baseUrlVariables], [`${prefix}_BASE_URL`, `${prefix}_API_BASE`])
      if (row.baseUrl !== undefined) {
        const url = new URL(row.baseUrl.replace("{region}", "eu-west-1"))
        assert.isFalse(row.baseUrl.endsWith("/"))
        assert.isTrue(url.protocol === "https:" || row.key === "optional")
        assert.strictEqual(row.baseUrl.includes("{region}"), row.regionVariables.length > 0)
      }
      assert.isTrue(row.key === "token" || row.keyVariables.length > 0)
      const hasJobs = row.responses || row.protocol === "anthropic" || row.interactionsBaseUrl !== undefined
      assert.isTrue(hasJobs || !row.background)
    })
  }
})
