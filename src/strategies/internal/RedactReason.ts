/**
 * Takes the model's words out of a reason, for a journal that must not keep them.
 */
import {
  ContentFiltered,
  Incomplete,
  InvalidOutput,
  JobCancelled,
  type NonRetryableReason,
  Refusal,
  type RetryableReason,
  StreamInterrupted
} from "../../errors/Reason.ts"

export function redactReason(reason: NonRetryableReason): NonRetryableReason
export function redactReason(reason: NonRetryableReason | RetryableReason): NonRetryableReason | RetryableReason
export function redactReason(reason: NonRetryableReason | RetryableReason): NonRetryableReason | RetryableReason {
  const { message } = reason
  switch (reason._tag) {
    case "Incomplete":
      return new Incomplete({ ...reason, message, content: "" })
    case "InvalidOutput":
      return new InvalidOutput({
        ...reason,
        message: "The answer does not fit the schema",
        content: "",
        issues: undefined
      })
    case "StreamInterrupted":
      return new StreamInterrupted({ ...reason, message, content: "" })
    case "ContentFiltered":
      return new ContentFiltered({ ...reason, message, content: undefined })
    case "JobCancelled":
      return new JobCancelled({ ...reason, message, content: undefined })
    case "Refusal":
      return new Refusal({ ...reason, message: "The model declined to answer", content: undefined })
    default:
      return reason
  }
}
