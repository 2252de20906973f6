/**
 * What the three strategies have in common.
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { LlmResponse } from "../../services/LlmResponse.ts"
import type { StrategyName } from "../../services/ResponseRequest.ts"
import {
  type Decoded,
  decodeRequest,
  type EventFor,
  type RequestFor,
  type ResponseStrategy
} from "../ResponseStrategy.ts"
import { SessionRuns } from "../SessionRuns.ts"

/** Creates a strategy on the runs of sessions, whose answers have the value that their types promise. */
export const makeStrategy = (
  name: StrategyName,
  canResume: boolean
): Effect.Effect<ResponseStrategy, never, SessionRuns> =>
  Effect.map(SessionRuns, (runs) => ({
    name,
    canResume,
    execute: <Output extends Schema.Decoder<unknown> = never>(input: RequestFor<Output>) =>
      Effect.flatMap(decodeRequest(input), (request) => runs.execute(request, name)) as Effect.Effect<
        LlmResponse & Decoded<Output>,
        StrategyError
      >,
    stream: <Output extends Schema.Decoder<unknown> = never>(input: RequestFor<Output>) =>
      Stream.unwrap(Effect.map(decodeRequest(input), (request) => runs.stream(request, name))) as Stream.Stream<
        EventFor<Output>,
        StrategyError
      >
  }))
