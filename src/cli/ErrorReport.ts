/**
 * What the command says of an error: what happened, and what to do next.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { NonRetryableReason, RetryableReason } from "../errors/Reason.ts"
import type { NonRetryable, Retryable, StrategyError, Timeout } from "../errors/StrategyError.ts"
import * as Durations from "./Durations.ts"
import { type NextCommands, sessionFlag } from "./NextCommands.ts"
import { oneLine } from "./Printable.ts"

/**
 * Returns the report of an error: the tag, the reason and the message in the
 * first line, then the facts, then what to do next.
 *
 * @category combinators
 * @since 0.1.0
 */
export const report = (error: StrategyError, next: NextCommands): string =>
  [what(error), ...advice(error, next).map((line) => `  ${line}`)].join("\n")

/**
 * Returns the report of an error without what to do next.
 *
 * @category combinators
 * @since 0.1.0
 */
export const what = (error: StrategyError): string => {
  const lines = [headline(error)]
  if (error._tag !== "Timeout") {
    const said = facts(error.reason)
    if (said !== "") lines.push(`  ${said}`)
  }
  for (const { model, reason } of error.passedOver ?? []) {
    lines.push(`  before it, ${model}: ${nameOf(reason)}, ${oneLine(reason.message, 200)}`)
  }
  if (error.session !== undefined) {
    lines.push(`  session ${error.session}${error.jobId === undefined ? "" : `, job ${error.jobId}`}`)
  }
  return lines.join("\n")
}

const headline = (error: StrategyError): string => {
  switch (error._tag) {
    case "Timeout":
      return `Timeout: no answer within ${Durations.format(error.deadline)}, still in phase ${error.phase}`
    case "Retryable":
    case "NonRetryable":
      return `${error._tag} ${nameOf(error.reason)}: ${error.reason.message}`
  }
}

const nameOf = (reason: RetryableReason | NonRetryableReason): string =>
  reason._tag === "JobFailed" ? `${reason._tag} (${reason.reason._tag})` : reason._tag

const facts = ({ code, param, provider, requestId, status, type }: RetryableReason | NonRetryableReason): string =>
  [
    provider,
    status === undefined ? undefined : `HTTP ${status}`,
    code,
    type === code ? undefined : type,
    param === undefined ? undefined : `field ${param}`,
    requestId === undefined ? undefined : `request ${requestId}`
  ].filter((fact) => fact !== undefined).join(", ")

/**
 * Returns what to do about submissions whose outcome is not known, one line
 * each.
 *
 * @category combinators
 * @since 0.1.0
 */
export const afterUncertain = (
  session: string,
  submissionIds: ReadonlyArray<string>,
  next: NextCommands
): ReadonlyArray<string> => [
  `Look among the provider's jobs for metadata holdfast_submission = ${submissionIds.join(" or ")}`,
  `  if it is there:      ${next.adopt(session)}`,
  `  if it is not there:  ${next.resubmit(session)}`
]

const advice = (error: StrategyError, next: NextCommands): ReadonlyArray<string> => {
  switch (error._tag) {
    case "Timeout":
      return afterTimeout(error, next)
    case "Retryable":
      return afterRetryable(error, next)
    case "NonRetryable":
      return afterNonRetryable(error, next)
  }
}

const afterTimeout = ({ jobId, session }: Timeout, next: NextCommands): ReadonlyArray<string> => {
  if (session === undefined) return ["Allow more time with --deadline."]
  return jobId === undefined
    ? [`Run the same command again with ${sessionFlag(session)}, and more time (--deadline).`]
    : ["The job goes on at the provider. Wait for it again:", `  ${next.resume(session)}`]
}

const afterRetryable = (
  { jobId, reason, retryAfter, session }: Retryable,
  next: NextCommands
): ReadonlyArray<string> => {
  const when = retryAfter === undefined || Duration.isZero(retryAfter)
    ? "later"
    : `in ${Durations.format(retryAfter)} or later`
  switch (reason._tag) {
    case "SessionUnavailable":
      return ["Check that the folder can be read and written, and has room, or choose another one with --store."]
    case "Conflict":
      // Without the provider's words it is the session itself that is busy.
      if (session !== undefined && reason.status === undefined) {
        return [
          `Look at it:              ${next.show(session)}`,
          `Stop its job:            ${next.cancel(session)}`,
          `Remove it all the same:  ${next.forget(session, true)}`
        ]
      }
      return [`Try again ${when}.`]
    case "JobFailed":
      return [
        session === undefined
          ? `Try again ${when}; a new job is submitted.`
          : `Run the same command again ${when}, with ${sessionFlag(session)}; it submits a new job.`
      ]
    default:
      if (session === undefined) return [`Try again ${when}.`]
      return jobId === undefined
        ? [`Run the same command again ${when}, with ${sessionFlag(session)}.`]
        : [`The job is not lost. Go on with it ${when}:`, `  ${next.resume(session)}`]
  }
}

const afterNonRetryable = ({ jobId, reason, session }: NonRetryable, next: NextCommands): ReadonlyArray<string> => {
  switch (reason._tag) {
    case "ProviderNotConfigured":
      return reason.variable === undefined ? [] : [`Set it in this shell:  export ${reason.variable}=…`]
    case "AuthenticationFailed":
    case "PermissionDenied":
      return ["Check the key. Which one a model uses, and whether it is set:", `  ${next.models("MODEL")}`]
    case "QuotaExceeded":
      return ["The account has no quota left; waiting does not help. Nothing was sent again."]
    case "SubmissionUncertain":
      return session === undefined ? [] : [
        "The provider may be working on it, so nothing more is sent for this session.",
        ...afterUncertain(session, [reason.submissionId], next)
      ]
    case "SessionMismatch":
      return session === undefined ? [] : [
        "Choose another --session, or look at what this one holds:",
        `  ${next.show(session)}`
      ]
    case "SessionNotFound":
      return ["The sessions that are here:", `  ${next.list}`]
    case "RequestNeeded":
      return session === undefined ? [] : [`Run the original command again with ${sessionFlag(session)}.`]
    case "SessionCorrupt":
      return session === undefined ? [] : [
        "Choose another --session. To give the key up, with what it has paid for, remove its file."
      ]
    case "ContentFiltered":
      // With a status it is an HTTP refusal, and no outcome of the session.
      return reason.status === undefined
        ? afterOutcome(reason, session, next)
        : ["The request was refused. Change it, and use another --session for it."]
    case "JobCancelled":
      // Without a job it may have been a wait for another attempt, which settles nothing.
      return jobId !== undefined || session === undefined
        ? afterOutcome(reason, session, next)
        : [`See what the session has come to with  ${next.show(session)}`]
    case "Refusal":
    case "Incomplete":
    case "EmptyContent":
    case "InvalidOutput":
    case "JobFailed":
    case "JobExpired":
      return afterOutcome(reason, session, next)
    default:
      return []
  }
}

const afterOutcome = (
  reason: NonRetryableReason,
  session: string | undefined,
  next: NextCommands
): ReadonlyArray<string> =>
  session === undefined ? partialAdvice(reason) : [
    ...partialAdvice(reason),
    `This is the session's final outcome; see it with  ${next.show(session)}`,
    "To ask again, and pay again, use another --session."
  ]

const partialAdvice = (reason: NonRetryableReason): ReadonlyArray<string> =>
  "content" in reason && reason.content !== undefined && reason.content !== ""
    ? [`${reason.content.length} characters had arrived by then.`]
    : []
