/**
 * What the three strategies have in common.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { LlmResponse } from "../../services/LlmResponse.ts"
import type { ResponseEvent } from "../../services/ResponseEvent.ts"
import type { StrategyName } from "../../services/ResponseRequest.ts"
import * as Cost from "../Cost.ts"
import {
  type Decoded,
  decodeRequest,
  type EventFor,
  type RequestFor,
  type ResponseStrategy
} from "../ResponseStrategy.ts"
import { SessionRuns } from "../SessionRuns.ts"

/** Creates a strategy on the runs of sessions, whose answers have the value and the cost that their types promise. */
export const strategyOf = (
  name: StrategyName,
  canResume: boolean
): Effect.Effect<ResponseStrategy, never, SessionRuns> =>
  Effect.zipWith(SessionRuns, Cost.prices, (runs, prices) => ({
    name,
    canResume,
    execute: <Output extends Schema.Decoder<unknown> = never>(input: RequestFor<Output>) =>
      decodeRequest(input).pipe(
        Effect.flatMap((request) => runs.execute(request, name)),
        Effect.flatMap((answer) => Cost.added(answer, prices))
      ) as Effect.Effect<LlmResponse & Decoded<Output>, StrategyError>,
    stream: <Output extends Schema.Decoder<unknown> = never>(input: RequestFor<Output>) =>
      Stream.unwrap(Effect.map(decodeRequest(input), (request) => runs.stream(request, name))).pipe(
        Stream.mapArrayEffect(priced(prices))
      ) as Stream.Stream<EventFor<Output>, StrategyError>
  }))

/** Only the last event has an answer, whose cost is to be told. */
const priced = (prices: Cost.Prices) =>
(
  events: Arr.NonEmptyReadonlyArray<ResponseEvent>
): Effect.Effect<Arr.NonEmptyReadonlyArray<ResponseEvent>> => {
  const last = Arr.lastNonEmpty(events)
  return last._tag === "Completed"
    ? Effect.map(
      Cost.added(last.response, prices),
      (response) => Arr.map(events, (event) => event === last ? { ...last, response } : event)
    )
    : Effect.succeed(events)
}
