import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import type { Entry } from "../src/services/Session.ts"
import type { Step } from "../src/strategies/internal/Decision.ts"

const text = readFileSync(new URL("../ARCHITECTURE.md", import.meta.url), "utf8")

/** The first column of the table that follows a heading row. */
const column = (heading: string): ReadonlyArray<string> => {
  const lines = text.slice(text.indexOf(`\n| ${heading} |`) + 1).split("\n")
  const rows = lines.slice(2, lines.findIndex((line) => !line.startsWith("|")))
  return rows.map((row) => row.split("|")[1]?.trim().replaceAll("`", "") ?? "")
}

describe("ARCHITECTURE.md", () => {
  it("has a row for each step of a decision", () => {
    // A step that is missing here does not compile.
    const steps: Record<Step["_tag"], true> = {
      AwaitJob: true,
      AwaitSubmission: true,
      Finish: true,
      FollowOther: true,
      LookUp: true,
      NextModel: true,
      RecordFailure: true,
      RecordUnsent: true,
      Repair: true,
      Settle: true,
      Stop: true,
      Submit: true,
      WaitToLookUp: true,
      WaitToRetry: true
    }

    assert.deepStrictEqual(column("step | when").toSorted(), Object.keys(steps))
  })

  it("has a row for each entry of a journal", () => {
    const entries: Record<Entry["_tag"], true> = {
      Accepted: true,
      CancelRequested: true,
      Ended: true,
      NotSubmitted: true,
      Prepared: true,
      Settled: true,
      Submitting: true
    }

    assert.deepStrictEqual(column("entry | written by | what it means").toSorted(), Object.keys(entries))
  })

  it("names only files that are there", () => {
    const folders = ["src/strategies/internal", "src/strategies", "src/services/providers/internal", "src"]
    const names = [...text.matchAll(/`((?:services|strategies|errors)\/[\w/]+|[A-Z]\w+)`/g)].map(([, name]) =>
      name ?? ""
    )
    const notFiles = new Set([
      ...column("step | when"),
      ...column("entry | written by | what it means"),
      ...["Limits", "Providers", "Schedule", "SessionStore", "Timeout"]
    ])
    const missing = names.filter((name) =>
      !notFiles.has(name) &&
      !folders.some((folder) =>
        existsSync(new URL(`../${folder}/${name}.ts`, import.meta.url)) ||
        existsSync(new URL(`../${folder}/${name}`, import.meta.url))
      )
    )

    assert.deepStrictEqual(missing, [])
  })
})
