import { Effect } from "effect"
import { Holdfast, Schedules } from "holdfast"

export const patient = Holdfast.execute({ model: "openai/o3-deep-research", prompt: "Why is the sky dark?" }).pipe(
  Effect.provideService(Schedules.RetryPolicy, Schedules.retrySchedule({ initial: "2 seconds", attempts: 8 })),
  Effect.provideService(Schedules.PollPolicy, Schedules.pollSchedule({ initial: "30 seconds", max: "1 minute" }))
)
