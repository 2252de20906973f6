import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"

const program = Effect.gen(function*() {
  const answer = yield* Holdfast.execute({
    model: "openai/gpt-5.5-pro",
    prompt: "Compare the three contracts.",
    session: "contract-42"
  })
  yield* Effect.log(answer.content, answer.usage)
}).pipe(
  Effect.catchTags({
    Retryable: (e) => Effect.logWarning("try again later", e.reason, e.retryAfter),
    NonRetryable: (e) => Effect.logError("give up", e.reason),
    Timeout: (e) => Effect.logWarning("still running, resume it", e.session, e.jobId)
  })
)

const Live = Holdfast.layer.pipe(
  Layer.provide([SessionStore.layerFileSystem({ directory: ".holdfast" }), Providers.layerConfig]),
  Layer.provide(NodeServices.layer)
)

program.pipe(Effect.provide(Live), NodeRuntime.runMain)
