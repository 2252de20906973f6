import { Effect } from "effect"
import { Holdfast } from "holdfast"

export const summary = (text: string) =>
  Holdfast.execute({ model: "anthropic/claude-sonnet-5-5", prompt: `Summarise:\n${text}` }).pipe(
    Effect.map((answer) => answer.content),
    Effect.catchReason("NonRetryable", "ContextLengthExceeded", () => Effect.succeed("The text is too long.")),
    Effect.catchReason("NonRetryable", "Incomplete", (reason) => Effect.succeed(`${reason.content} …`))
  )
