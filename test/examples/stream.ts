import { Effect, Stream } from "effect"
import { Holdfast } from "holdfast"

export const story = Holdfast.stream({ model: "openai/gpt-5.5-pro", prompt: "Tell a story.", session: "story-1" }).pipe(
  Stream.tap((event) => Effect.sync(() => event._tag === "TextDelta" && process.stdout.write(event.delta))),
  Stream.runDrain
)
