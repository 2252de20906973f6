/**
 * What the runs of a process share.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Providers } from "../../services/Providers.ts"
import type { Poller } from "./Poller.ts"
import type { isParked, Run, RunResult, RunSpec } from "./Run.ts"
import type { SubmitGates } from "./SubmitGate.ts"
import type { UncertainSubmissions } from "./UncertainSubmissions.ts"

export interface RunContext {
  readonly providers: Providers["Service"]
  /** What tells the store's keys from those of others. */
  readonly namespace: string
  readonly uncertain: UncertainSubmissions
  readonly submitGates: SubmitGates
  /** The delays between the polls of a job of a provider, where the caller asked for some. */
  readonly pollSchedule: (asked: RunSpec["poll"], provider: string) => RunSpec["poll"]
  /** Models of `fallback` that cannot be asked, as was logged. */
  readonly unusable: Set<string>
  /** Models whose provider ignores `background`, as was told in the log. */
  readonly ignoresBackground: Set<string>
  /** Forks work that may go on as long as the layer lives, and that nobody waits for. */
  readonly attend: (work: Effect.Effect<void>) => Effect.Effect<void>
  /** Looks at all jobs that are waited for. */
  readonly poller: Poller
  /** Forks the work of a run, whose exit ends the run unless it is parked. */
  readonly work: (run: Run, work: Effect.Effect<RunResult | typeof isParked, StrategyError>) => void
  /** Forks work that outlives the run, and that the layer's end waits for. */
  readonly detach: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
}
