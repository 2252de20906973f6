/**
 * The exit codes of the `holdfast` command.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { StrategyError } from "../errors/StrategyError.ts"
import type { UsageError } from "./UsageError.ts"

/** The exit codes, by what they say to a script. */
const exitCodes = {
  /** The answer, or what was asked for, is on stdout. */
  ok: 0,
  /** The command was used wrongly, or failed in a way that nobody expected. */
  usage: 1,
  /** It will fail again until something changes. */
  NonRetryable: 2,
  /** The same command later may succeed. */
  Retryable: 3,
  /** The deadline passed; the job can be resumed. */
  Timeout: 4,
  /** Stopped by Ctrl-C or SIGTERM; a background job with a session goes on. */
  interrupted: 130
} as const

/**
 * The exit codes as help shows them.
 *
 * @category models
 * @since 0.1.0
 */
export const exitCodesHelp: ReadonlyArray<string> = [
  [exitCodes.ok, "the answer is on stdout"],
  [exitCodes.usage, "wrong usage, or an unexpected failure"],
  [exitCodes.NonRetryable, "NonRetryable: will not succeed until something changes"],
  [exitCodes.Retryable, "Retryable: the same command may succeed later"],
  [exitCodes.Timeout, "Timeout: the deadline passed; resume the session"],
  [exitCodes.interrupted, "stopped by Ctrl-C or SIGTERM; resume the session"]
].map(([code, meaning]) => `${String(code).padStart(3)}  ${meaning}`)

/**
 * Schema for an end that nobody expected: a defect.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnexpectedFailure
  extends Schema.TaggedError<UnexpectedFailure>("holdfast/cli/ExitCodes/UnexpectedFailure")(
    "UnexpectedFailure",
    { message: Schema.String }
  )
{}

/**
 * Returns the exit code for an error.
 *
 * @category combinators
 * @since 0.1.0
 */
export const exitCodeOf = (error: StrategyError | UsageError | UnexpectedFailure): number =>
  error._tag === "UsageError" || error._tag === "UnexpectedFailure" ? exitCodes.usage : exitCodes[error._tag]
