/**
 * Sessions, as people read them.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type { StrategyError } from "../errors/StrategyError.ts"
import { failureOf, type Settlement } from "../services/Session.ts"
import type { SessionCost, SubmissionCost } from "../strategies/Cost.ts"
import type { SessionInfo, SubmissionInfo } from "../strategies/Sessions.ts"
import { counted } from "./Counted.ts"
import * as Dollars from "./Dollars.ts"
import { afterUncertain, what } from "./ErrorReport.ts"
import type { NextCommands } from "./NextCommands.ts"
import { oneLine } from "./Printable.ts"

/**
 * A session, or why it cannot be read.
 *
 * @category models
 * @since 0.1.0
 */
export type Listed = SessionInfo | { readonly session: string; readonly error: StrategyError }

/**
 * Returns a table of sessions, one a line.
 *
 * @category combinators
 * @since 0.1.0
 */
export const table = (sessions: ReadonlyArray<Listed>): string => {
  const rows = [["SESSION", "STATUS", "MODEL", "SUBMITTED", "JOB"], ...sessions.map(row)]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  return rows
    .map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n")
}

/**
 * Returns what to do about the uncertain sessions of a list; `undefined` when
 * there are none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const uncertainNote = (sessions: ReadonlyArray<Listed>, next: NextCommands): string | undefined => {
  const uncertain = sessions.flatMap((listed) => "status" in listed && listed.status === "uncertain" ? [listed] : [])
  const [first] = uncertain
  return first === undefined
    ? undefined
    : `${counted(uncertain.length, "session")} may have a job whose id is not known. See what to do with\n  ${
      next.show(first.session)
    }`
}

/**
 * Returns all that is known of a session, its answer at the end.
 *
 * @category combinators
 * @since 0.1.0
 */
export const details = (info: SessionInfo, cost: SessionCost, next: NextCommands): string =>
  [
    `Session  ${oneLine(info.session, 200)}`,
    `Status   ${statusOf(info)}: ${meaning(info)}`,
    ...advice(info, next).map((line) => `         ${line}`),
    ...timeLines(info),
    ...(info.submissions.length === 0 ? [] : [`Cost     ${totalOf(cost)}`]),
    ...info.submissions.flatMap((submission, index) =>
      submissionLines(submission, index + 1, cost.submissions[index]?.cost ?? "unknown")
    ),
    ...(info.settlement === undefined ? [] : ["", ...settlementLines(info.settlement)])
  ].join("\n")

const meaning = ({ settlement, status }: SessionInfo): string => {
  switch (status) {
    case "prepared":
      return "nothing was sent yet; run the same command again"
    case "submitting":
      return "a request was sent, and its outcome is not known yet"
    case "uncertain":
      return "a request was sent, and its outcome is not known"
    case "running":
      return "a job may be running"
    case "retrying":
      return "the last submission came to nothing; a run that waits, or the next one, may send another"
    case "answered":
      return "the answer is final"
    case "failed":
      return settlement === undefined
        ? "to wait does not help; the next run sends another submission"
        : "the failure is final"
    case "cancelled":
      return settlement === undefined
        ? "a run that waits sends nothing more; the next run may"
        : "the job was cancelled, which is final"
  }
}

/** What a session became, with the reason where it is a failure. */
const statusOf = ({ lastFailure, settlement, status }: SessionInfo): string => {
  if (status !== "failed" && status !== "retrying") return status
  const reason = settlement === undefined ? lastFailure : failureOf(settlement)
  return reason === undefined ? status : `${status} (${reason._tag})`
}

const advice = ({ session, status, submissions }: SessionInfo, next: NextCommands): ReadonlyArray<string> => {
  if (status !== "uncertain") return []
  const open = submissions.filter(({ state, strategy }) => state === "open" && strategy === "background")
  return [
    "Run the same command again, which looks for the job where the provider can. Or by hand:",
    ...afterUncertain(session, open.map(({ submissionId }) => submissionId), next)
  ]
}

const timeLines = ({ createdAt, settledAt, updatedAt }: SessionInfo): ReadonlyArray<string> => [
  `Created  ${time(createdAt)}`,
  settledAt === undefined ? `Updated  ${time(updatedAt)}` : `Settled  ${time(settledAt)}`
]

const totalOf = ({ submissions, total: { complete, nanoUsd, unknown } }: SessionCost): string => {
  if (complete) return Dollars.format(nanoUsd)
  return submissions.every(({ cost }) => cost === "unknown" || cost === "none")
    ? "unknown"
    : `${Dollars.format(nanoUsd)} and what is not known of ${counted(unknown, "submission")}`
}

const costOf = (cost: SubmissionCost["cost"]): string => {
  if (cost === "none") return "nothing"
  if (cost === "unknown") return "unknown"
  // A model newer than the price list may have got its elder's price.
  const by = cost.matchedBy === "prefix"
    ? `, by the price of ${oneLine(cost.matchedModel ?? "another model", 100)}`
    : ""
  return `${Dollars.format(cost.nanoUsd)}${by}`
}

const row = (listed: Listed): ReadonlyArray<string> => {
  const session = oneLine(listed.session, 60)
  if ("error" in listed) {
    return [session, listed.error._tag === "Timeout" ? "unknown" : listed.error.reason._tag, "", "", ""]
  }
  const last = listed.submissions.at(-1)
  return [
    session,
    statusOf(listed),
    listed.model ?? "",
    last === undefined ? "" : time(last.sentAt),
    jobOf(listed) ?? ""
  ]
}

const jobOf = ({ submissions }: SessionInfo): string | undefined =>
  (submissions.find(({ state }) => state === "accepted") ?? submissions.at(-1))?.jobId

const submissionLines = (
  submission: SubmissionInfo,
  number: number,
  cost: SubmissionCost["cost"]
): ReadonlyArray<string> => {
  const { cancelRequested, ignoredBackground, jobId, keptUntil, model, reason, sentAt, state, strategy, submissionId } =
    submission
  return [
    "",
    `Submission ${number}, ${time(sentAt)}: ${state}${cancelRequested ? ", cancel requested" : ""}`,
    `  ${model}, ${strategy}, cost ${costOf(cost)}`,
    ...(jobId === undefined
      ? []
      : [`  job ${jobId}${keptUntil === undefined ? "" : `, kept until ${time(keptUntil)}`}`]),
    ...(ignoredBackground === true ? ["  the provider took it as a background job, and does not run those"] : []),
    ...(state === "open" ? [`  the job carries the metadata holdfast_submission = ${submissionId}`] : []),
    ...(reason === undefined ? [] : [`  ${reason._tag}: ${oneLine(reason.message, 300)}`])
  ]
}

const settlementLines = (settlement: Settlement): ReadonlyArray<string> => {
  switch (settlement._tag) {
    case "Answered":
      return ["Answer:", settlement.answer.content]
    case "Reference": {
      const { jobId, reason } = settlement
      const outcome = reason === undefined ? "The answer" : `What is known of ${reason._tag}`
      return [
        jobId === ""
          ? `${outcome} is not kept here, and cannot be fetched again`
          : `${outcome} is not kept here; it is fetched again from job ${jobId}`
      ]
    }
    case "Failed": {
      const { reason } = settlement.error
      const text = "content" in reason ? reason.content : undefined
      return [
        what(settlement.error),
        ...(text === undefined || text === "" ? [] : ["", "The text so far:", text])
      ]
    }
  }
}

const time = (at: DateTime.Utc): string => DateTime.formatIso(at).replace("T", " ").replace(/\.\d+Z$/, "Z")
