import { assert, describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import type { StreamEvent } from "../../../../src/services/Provider.ts"
import type { Reader } from "../../../../src/services/providers/internal/ProtocolReader.ts"
import type { Answer } from "../../../../src/services/providers/internal/HttpCall.ts"
import * as Played from "../../../../src/services/providers/internal/Played.ts"

describe("Played", () => {
  it("takes what a reader throws for an answer that cannot be read", () => {
    const reader = (): Reader => ({
      take: () => {
        throw new TypeError("x is not iterable")
      },
      finish: () => "More",
      whole: () => "More"
    })

    const outcome = Result.getFailure(Played.outcomeOf(answer(), reader))
    const job = Result.getFailure(Played.jobOf(answer(), reader))

    for (const failure of [outcome, job]) {
      assert.strictEqual(Option.getOrThrow(failure).verdict.reason._tag, "InvalidResponse")
    }
  })

  it.each<[string, ReadonlyArray<StreamEvent>, string]>([
    ["nothing", [], "InvalidResponse"],
    ["an id", [{ _tag: "Started", responseId: "r" }], "r Pending in_progress"],
    ["a status", [{ _tag: "Status", status: "queued", phase: "queued" }], " Pending queued"],
    ["an id, a status and text", [
      { _tag: "Started", responseId: "r" },
      { _tag: "Status", status: "queued", phase: "queued" },
      { _tag: "Text", delta: "Hi" }
    ], "r Pending queued"]
  ])("knows a job from %s", (_name, events, expected) => {
    for (const failure of [undefined, { error: new TypeError("terminated") }]) {
      const reader = (): Reader => ({
        take: (_, out) => (out.push(...events), "More"),
        finish: () => "More",
        whole: () => "More"
      })
      const result = Played.jobOf({ ...answer(), failure }, reader)
      const brief = Result.match(result, {
        onFailure: ({ verdict }) => verdict.reason._tag,
        onSuccess: ({ jobId, state }) => `${jobId} ${state._tag} ${"status" in state ? state.status : ""}`
      })

      assert.strictEqual(brief, expected === "InvalidResponse" && failure !== undefined ? "Network" : expected)
    }
  })
})

const answer = (): Answer => {
  const response = new Response("")
  const context = { provider: "p", operation: "submit", now: 0 } as const
  return {
    opened: { response, contextNow: () => context },
    context,
    reply: { status: 200, headers: response.headers, body: "data: {}", text: "data: {}" },
    events: [{ name: "", data: "{}" }],
    failure: undefined
  }
}
