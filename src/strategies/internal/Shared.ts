/**
 * What the runs of a process share.
 */
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Providers } from "../../services/Providers.ts"
import type { Doubts } from "./Doubts.ts"
import type { Run, RunResult } from "./Run.ts"

export interface Shared {
  readonly providers: Providers["Service"]
  /** What tells the store's keys from those of others. */
  readonly namespace: string
  readonly doubts: Doubts
  /** Models whose provider ignores `background`, as was told in the log. */
  readonly ignorant: Set<string>
  /** Models of `fallback` that cannot be asked, as was logged. */
  readonly unusable: Set<string>
  /** Takes a run to its end; also from where it asks once more, after an end that will not do. */
  readonly drive: (run: Run) => Effect.Effect<RunResult, StrategyError>
  /** Forks work that may go on as long as the layer lives, and that nobody waits for. */
  readonly attend: (work: Effect.Effect<void>) => Effect.Effect<void>
  /** Forks work that outlives the run, and that the layer's end waits for. */
  readonly detach: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
}
