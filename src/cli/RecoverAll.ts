/**
 * Waits for the jobs of all sessions. `resume --all` imports it when it runs.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { StrategyError } from "../errors/StrategyError.ts"
import * as Holdfast from "../Holdfast.ts"
import { LlmResponse } from "../services/LlmResponse.ts"
import type { Recovered } from "../strategies/Recovery.ts"
import { summary } from "./AnswerSummary.ts"
import * as Engine from "./Engine.ts"
import { what } from "./ErrorReport.ts"
import type { NextCommands } from "./NextCommands.ts"
import * as Output from "./Output.ts"

/**
 * Waits for the jobs of all sessions of a folder, and tells of each what came
 * of it. Succeeds with the first error among them, if there is one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const recoverAll = Effect.fnUntraced(function*(
  deadline: Duration.Duration | undefined,
  options: { readonly directory: string; readonly next: NextCommands; readonly json: boolean }
) {
  const results = yield* Holdfast.recover({ deadline }).pipe(
    Stream.tap(({ result, session }) =>
      Output.note(`${session}: ${result._tag === "Success" ? summary(result.success) : what(result.failure)}`)
    ),
    Stream.runCollect,
    Engine.withSessions(options.directory)
  )
  if (options.json) yield* Output.json(Results, results.map(encodable))
  else {for (const { result, session } of results) {
      if (result._tag === "Success") yield* Output.answer(`${session}\n${result.success.content}`)
    }}
  if (results.length === 0) yield* Output.note(`No session in ${options.directory} waits for a job`)
  const failed = results.find(({ result }) => result._tag === "Failure")
  return failed?.result._tag === "Failure" ? failed.result.failure : undefined
})

const Results = Schema.Array(
  Schema.Struct({
    session: Schema.String,
    answer: Schema.optionalKey(LlmResponse),
    error: Schema.optionalKey(StrategyError)
  })
)

const encodable = ({ result, session }: Recovered): (typeof Results.Type)[number] =>
  result._tag === "Success" ? { session, answer: result.success } : { session, error: result.failure }
