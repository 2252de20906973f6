import { Effect } from "effect"
import { BackgroundJob, Completions } from "holdfast"

export const both = Effect.gen(function*() {
  const background = yield* BackgroundJob.BackgroundJob
  const completions = yield* Completions.Completions
  const draft = yield* completions.execute({ model: "groq/llama-3.3-70b-versatile", prompt: "Draft a reply." })
  return yield* background.execute({
    model: "openai/gpt-5.5-pro",
    instructions: "You are a careful editor.",
    prompt: [
      { type: "text", text: draft.content },
      { type: "image", url: "https://example.com/letter.png", detail: "high" }
    ],
    session: "letter-7"
  })
})
