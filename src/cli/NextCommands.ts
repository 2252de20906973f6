/**
 * The commands that messages tell the user to run next.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { variable } from "./CommonFlags.ts"

/**
 * Writes commands as the user would type them in the same shell.
 *
 * @category models
 * @since 0.1.0
 */
export interface NextCommands {
  readonly resume: (session: string) => string
  readonly show: (session: string) => string
  readonly list: string
  readonly cancel: (session: string) => string
  readonly forget: (session: string, force?: boolean) => string
  /** Adopts a job; without an id, with a place for one. */
  readonly adopt: (session: string, jobId?: string) => string
  readonly resubmit: (session: string) => string
  readonly models: (model: string) => string
}

/**
 * Creates the commands for a value of `--store`.
 *
 * **Details**
 *
 * `HOLDFAST_COMMAND` is what stands before the arguments, `holdfast` by default.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (store: Option.Option<string>): Effect.Effect<NextCommands> =>
  Effect.map(variable("HOLDFAST_COMMAND", "holdfast"), (program) => {
    const suffix = Option.match(store, { onNone: () => "", onSome: (directory) => ` --store ${quoted(directory)}` })
    const about = (verb: string) => (session: string): string => `${program} ${verb}${suffix} ${operands(session)}`
    return {
      resume: about("resume"),
      show: about("sessions show"),
      list: `${program} sessions list${suffix}`,
      cancel: about("sessions cancel"),
      forget: (session, force = false) => about(force ? "sessions forget --force" : "sessions forget")(session),
      adopt: (session, jobId) =>
        `${program} sessions adopt${suffix} ${
          jobId === undefined ? `${operands(session)} JOB_ID` : operands(session, jobId)
        }`,
      resubmit: about("sessions resubmit"),
      models: (model) => `${program} models ${operands(model)}`
    }
  })

/**
 * Returns the flag `--session` with a key, as a user types it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sessionFlag = (session: string): string =>
  session.startsWith("-") ? `--session=${quoted(session)}` : `--session ${quoted(session)}`

const operands = (...values: ReadonlyArray<string>): string =>
  [...(values.some((value) => value.startsWith("-")) ? ["--"] : []), ...values.map(quoted)].join(" ")

/** A text as a POSIX shell takes it for one word. */
const quoted = (text: string): string => /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
