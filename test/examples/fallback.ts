import { Holdfast } from "holdfast"

export const answer = Holdfast.execute({
  model: "openai/gpt-5.5-pro",
  prompt: "Why is the sky dark at night?",
  fallback: ["anthropic/claude-opus-5-5", "gemini/gemini-3.8-flash"],
  fallbackOn: ["Overloaded", "QuotaExceeded", "Queued"],
  queuedDeadline: "10 minutes"
})
