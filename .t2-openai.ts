import { Effect, Redacted } from "effect"
import { Simulator } from "/work/main/src/testing/index.ts"
import * as OpenAi from "/work/main/src/services/providers/OpenAi.ts"
import * as Transport from "/work/main/src/services/providers/Transport.ts"
Effect.runPromise(Effect.gen(function*() {
  const sim = yield* Simulator.Simulator; const t = yield* Transport.Transport
  const p = (yield* OpenAi.make({ name: "openai", baseUrl: sim.openAiBaseUrl, apiKey: Redacted.make("sim"), responsesApi: true, background: true, ...t }))("m")
  for (let i = 0; i < 6; i++) for (const k of ["r", "c", "s"]) {
    yield* sim.script([{ do: { _tag: "Corrupt", how: "short" } }], { replace: true })
    const req = { model: "m", prompt: "x" }
    const e: any = yield* Effect.flip((k === "r" ? p.responses!.create(req) : k === "c" ? p.completions.complete(req) : p.jobs!.submit(req, { submissionId: "a" })) as Effect.Effect<unknown, any>)
    console.log(k, e.verdict.reason._tag, e.verdict.reason.code, e.verdict.reason.message)
  }
}).pipe(Effect.scoped, Effect.provide(Simulator.layer()), Effect.provide(Transport.layer())))
