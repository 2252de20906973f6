/**
 * Runs the demonstration.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Layer } from "effect"
import * as Simulator from "../../src/testing/Simulator.ts"
import { answerTo, demonstration } from "./Demonstration.ts"

const layer = Layer.merge(
  NodeServices.layer,
  Simulator.layer({
    jobDuration: "5 seconds",
    answer: answerTo,
    script: [
      {
        on: "responses.create",
        match: "rate limit",
        do: { _tag: "Error", error: "rateLimit", headers: { "retry-after": "1" } }
      },
      { on: "responses.create", match: "rate limit", do: { _tag: "Job", outcome: "completed", durationMillis: 300 } },
      {
        on: "responses.create",
        match: "story",
        do: [
          { _tag: "Job", outcome: "completed", durationMillis: 2000 },
          { _tag: "CutStream", after: 14, how: "reset" }
        ]
      },
      { on: "responses.create", match: "quota", times: "always", do: { _tag: "Error", error: "quota" } }
    ]
  })
)

demonstration.pipe(
  Effect.provide(layer),
  Effect.tapCause((cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.void
      : Console.error(`\nThe demonstration failed: ${Cause.prettyErrors(cause)[0]?.message ?? "unknown"}`)
  ),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
