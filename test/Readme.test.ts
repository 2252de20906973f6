import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Random, Schedule } from "effect"
import { Reason, Schedules } from "holdfast"
import { Simulator } from "holdfast/testing"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { documents, render } from "../scripts/Readme.ts"
import { ProviderError } from "../src/errors/ProviderError.ts"
import type { Pending } from "../src/services/Provider.ts"

describe("README", () => {
  it.each(documents)("%s shows the examples and tables as their sources have them", (name) => {
    const text = document(name)
    assert.strictEqual(text, render(text))
  })

  it("lists every reason under the tags that can carry it", () => {
    const rows = [...document("ERRORS.md").matchAll(/^\| `(\w+)` \| (Retryable|NonRetryable) \|/gm)]
      .map(([, reason, tag]) => `${tag} ${reason}`)
    const expected = [
      ...Reason.RetryableReason.members.map((member) => `Retryable ${tagOf(member)}`),
      ...Reason.NonRetryableReason.members.map((member) => `NonRetryable ${tagOf(member)}`)
    ]

    assert.deepStrictEqual(rows.sort(), expected.sort())
  })

  it.effect("shows the delays of the schedules", () =>
    Effect.gen(function*() {
      const rateLimited = new ProviderError({
        verdict: { _tag: "Retryable", reason: new Reason.RateLimited({ message: "slow down" }) },
        evidence: "Refused"
      })
      const pending: Pending = { _tag: "Pending", status: "queued", phase: "queued" }
      const rows = document("README.md")
      const row = (name: string): ReadonlyArray<number> =>
        (rows.match(new RegExp(`^\\| ${name} \\|(.*)$`, "m"))?.[1] ?? "").split("|").map(Number).filter((n) => n > 0)

      assert.deepStrictEqual(row("retry"), yield* delays(Schedules.retrySchedule(), rateLimited, 8))
      assert.deepStrictEqual(row("poll"), yield* delays(Schedules.pollSchedule(), pending, 8))
    }).pipe(Effect.provideService(Random.Random, { nextDoubleUnsafe: () => 0, nextIntUnsafe: () => 0 })))

  it.live(
    "has a first program that runs, and that gives the stored answer when it is run again",
    () =>
      Effect.gen(function*() {
        const simulator = yield* Simulator.Simulator
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-readme-"))),
          (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
        )
        const run = Effect.promise(() => program("contract.ts", directory, simulator.openAiBaseUrl))

        const first = yield* run
        const again = yield* run

        const { requests } = yield* simulator.ledger
        assert.include(first.stdout, "This is the answer.")
        assert.include(again.stdout, "This is the answer.")
        assert.strictEqual(requests["responses.create"], 1)
      }).pipe(Effect.provide(Simulator.layer({ completeAfterPolls: 1 })))
  )
})

const document = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), "utf8")

const tagOf = (member: { readonly fields: { readonly _tag: { readonly schema: unknown } } }): string =>
  String((member.fields._tag.schema as { readonly literal: unknown }).literal)

const delays = Effect.fnUntraced(function*<Input>(
  schedule: Schedule.Schedule<unknown, Input>,
  input: Input,
  count: number
) {
  const step = yield* Schedule.toStep(schedule)
  const seconds: Array<number> = []
  for (let n = 0; n < count; n++) {
    const next = yield* Effect.option(step(0, input))
    if (next._tag === "None") break
    seconds.push(Math.round(Duration.toMillis(next.value[1]) / 10) / 100)
  }
  return seconds
})

const program = (name: string, cwd: string, baseUrl: string) =>
  promisify(execFile)(
    process.execPath,
    [
      "--import",
      fileURLToPath(new URL("fixtures/holdfast-source.ts", import.meta.url)),
      fileURLToPath(new URL(`examples/${name}`, import.meta.url))
    ],
    { cwd, env: { PATH: process.env["PATH"], OPENAI_API_KEY: "any", OPENAI_BASE_URL: baseUrl } }
  )
