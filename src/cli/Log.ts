/**
 * The log of the command: short lines on stderr.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Logger from "effect/Logger"
import { oneLine } from "./Printable.ts"

/**
 * Logger that writes a line per event to stderr, without stacks.
 *
 * @category models
 * @since 0.1.0
 */
export const logger: Logger.Logger<unknown, void> = Logger.withConsoleError(
  Logger.make<unknown, string>(({ cause, logLevel, message }) => {
    const words = (Array.isArray(message) ? message : [message]).map(textOf)
    const failures = Cause.prettyErrors(cause).map(({ message }) => message)
    return `${logLevel.toLowerCase()}: ${oneLine([...words, ...failures].join(" "), 1000)}`
  })
)

const textOf = (part: unknown): string => {
  if (typeof part === "string") return part
  if (part instanceof Error) return part.message
  return JSON.stringify(part) ?? String(part)
}
