/**
 * Gets an answer, with all that is said on the way. Commands import it when
 * they run.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import type * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import type { StrategyError } from "../errors/StrategyError.ts"
import * as Holdfast from "../Holdfast.ts"
import { LlmResponse } from "../services/LlmResponse.ts"
import type { RequestInput } from "../services/ResponseRequest.ts"
import * as StrategySelector from "../strategies/StrategySelector.ts"
import { summary } from "./AnswerSummary.ts"
import * as Engine from "./Engine.ts"
import { type NextCommands, sessionFlag } from "./NextCommands.ts"
import * as Output from "./Output.ts"
import { type Seen, withProgress } from "./Progress.ts"
import * as Streaming from "./Streaming.ts"
import type { UsageError } from "./UsageError.ts"

/**
 * What to wait for: the answer to a request, or a session's job.
 *
 * @category models
 * @since 0.1.0
 */
export type Awaited =
  | {
    readonly _tag: "Run"
    readonly request: RequestInput
    /** Whether the user does not know the session's key yet. */
    readonly isFreshKey: boolean
    /** Whether the answer is shown while it grows. */
    readonly stream: boolean
  }
  | { readonly _tag: "Resume"; readonly deadline: Duration.Duration | undefined }

/**
 * Where to wait, and how to speak of it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  readonly session: string
  /** The folder of the sessions. */
  readonly directory: string
  readonly next: NextCommands
  readonly json: boolean
}

/**
 * Waits for an answer, shows the progress on stderr and the answer on stdout:
 * of a request with a schema, its value. When it is interrupted it says how to
 * go on. Nothing is said when nobody reads a stream any more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wait = (
  awaited: Awaited,
  options: Options
): Effect.Effect<
  void,
  StrategyError | UsageError,
  FileSystem.FileSystem | Path.Path | Stdio.Stdio | Terminal.Terminal
> =>
  withProgress(Holdfast.watch(options.session), (seen, hide) =>
    answerOf(awaited, options, hide).pipe(
      Effect.onInterrupt(() => Effect.flatMap(farewell(awaited, options, seen), Output.note))
    )).pipe(
      Engine.withSessions(options.directory),
      Effect.flatMap((response) =>
        Effect.gen(function*() {
          if (response === undefined) return
          if (!isStreamed(awaited)) {
            const { content } = response
            if (options.json) yield* Output.json(Answered, { ...response })
            else if ("value" in response) yield* Output.answer(JSON.stringify(response.value, null, 2))
            else if (content !== "") yield* Output.answer(content)
          }
          yield* Output.note(summary(response))
        })
      )
    )

/** The value is what an imported JSON Schema gives: JSON. */
const Answered = Schema.Struct({ ...LlmResponse.fields, value: Schema.optionalKey(Schema.Unknown) })

const isStreamed = (awaited: Awaited): boolean => awaited._tag === "Run" && awaited.stream

const answerOf = Effect.fnUntraced(function*(
  awaited: Awaited,
  { json, session }: Options,
  hide: Effect.Effect<void, never, Stdio.Stdio>
) {
  if (awaited._tag === "Resume") return yield* Holdfast.resume(session, { deadline: awaited.deadline })
  if (awaited.isFreshKey) yield* Output.note(`Session ${session}`)
  if (!awaited.stream) return yield* Holdfast.execute(awaited.request)
  const holdfast = yield* Holdfast.Holdfast
  return yield* Streaming.show(holdfast.stream(awaited.request), { json, onFirst: hide })
})

const farewell = Effect.fnUntraced(function*(awaited: Awaited, { next, session }: Options, seen: Seen) {
  const jobId = seen.progress?.jobId
  if (jobId !== undefined) {
    return `Stopped waiting. The job ${jobId} goes on at the provider; get its answer with\n  ${next.resume(session)}`
  }
  if (seen.progress?.status === "submitting") {
    return `Stopping. The submission on its way gets up to 10 s; if it is taken, get its answer with\n  ${
      next.resume(session)
    }`
  }
  const strategy = awaited._tag === "Resume"
    ? "background"
    : awaited.request.strategy ?? (yield* StrategySelector.select(awaited.request.model))
  return strategy === "background"
    ? `Stopped. If the provider has taken the job by now, it goes on; get its answer with\n  ${next.resume(session)}`
    : `Stopped. The call was held open and cannot be resumed; run the same command again with ${sessionFlag(session)}`
})
