/**
 * What the three strategies have in common.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { StrategyName } from "../../services/ResponseRequest.ts"
import { decodeRequest, type ResponseStrategy } from "../ResponseStrategy.ts"
import { SessionRuns } from "../SessionRuns.ts"

/** Creates a strategy on the runs of sessions. */
export const strategyOf = (
  name: StrategyName,
  canResume: boolean
): Effect.Effect<ResponseStrategy, never, SessionRuns> =>
  Effect.map(SessionRuns, (runs) => ({
    name,
    canResume,
    execute: (input) => Effect.flatMap(decodeRequest(input), (request) => runs.execute(request, name)),
    stream: (input) => Stream.unwrap(Effect.map(decodeRequest(input), (request) => runs.stream(request, name)))
  }))
