/**
 * Sessions, as people read them.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type { StrategyError } from "../errors/StrategyError.ts"
import type { Settlement } from "../services/Session.ts"
import type { SessionCost, SubmissionCost } from "../strategies/Cost.ts"
import type { SessionInfo, SubmissionInfo } from "../strategies/Sessions.ts"
import { counted } from "./Counted.ts"
import * as Dollars from "./Dollars.ts"
import { what } from "./ErrorReport.ts"
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
  const rows = [["SESSION", "STATE", "MODEL", "SUBMITTED", "JOB"], ...sessions.map(row)]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  return rows
    .map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n")
}

/**
 * Returns all that is known of a session, its answer at the end.
 *
 * @category combinators
 * @since 0.1.0
 */
export const details = (info: SessionInfo, cost: SessionCost): string =>
  [
    `Session  ${oneLine(info.session, 200)}`,
    `State    ${info.state}: ${meaning(info)}`,
    ...(info.submissions.length === 0 ? [] : [`Cost     ${totalOf(cost)}`]),
    ...info.submissions.flatMap((submission, index) =>
      submissionLines(submission, index + 1, cost.submissions[index]?.cost ?? "unknown")
    ),
    ...(info.settlement === undefined ? [] : ["", ...settlementLines(info.settlement)])
  ].join("\n")

const meaning = ({ settlement, state }: SessionInfo): string => {
  switch (state) {
    case "prepared":
      return "no provider has accepted it yet; run the same command again"
    case "submitting":
      return "a request was sent, and what became of it is not known yet"
    case "running":
      return "a job may be running"
    case "ended":
      return "its job failed; the next run submits another one"
    case "settled":
      return settlement?._tag === "Failed" ? `failed for good, ${settlement.error.reason._tag}` : "answered"
  }
}

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
  const state = listed.settlement?._tag === "Failed" ? `settled (${listed.settlement.error.reason._tag})` : listed.state
  return [
    session,
    state,
    last?.model ?? "",
    last === undefined ? "" : time(last.at),
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
  const { at, cancelRequested, ignoredBackground, jobId, keptUntil, model, reason, state, strategy, submissionId } =
    submission
  return [
    "",
    `Submission ${number}, ${time(at)}: ${state}${cancelRequested ? ", cancel requested" : ""}`,
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
    case "Reference":
      return [`The answer is not kept here; it is fetched again from job ${settlement.jobId}`]
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
