/**
 * What the specification knows of processes, jobs, sessions and calls.
 */
export type Variant = "A" | "B"

/** One life of a process, from its start to its end. */
export interface Life {
  readonly number: number
  readonly process: number
  isDead: boolean
  isStopping: boolean
  /** How far its wall clock is off, in milliseconds. */
  wallOffset: number
  /** Its store was slow or failed until here, and what it owes may come late. */
  disturbedUntil: number
  /** The webhooks with an id of their own that it has heeded. */
  readonly handled: Set<string>
}

/** A job as the provider has it. */
export interface Job {
  readonly id: string
  readonly submissionId: string
  readonly content: string
  status: "queued" | "running" | "completed" | "failed" | "broken" | "incomplete" | "cancelled" | "odd"
  /** The provider no longer knows it. */
  isGone: boolean
  /** It tells nobody which submission it came of. */
  isMute: boolean
  /** Its end reached a process that was alive. */
  isEndTold: boolean
  /** A process that was alive was told that there is no such job. */
  isMissingTold: boolean
  /** And that after the provider had kept it for as long as it does, by the clock of that process. */
  isExpiryTold: boolean
  /** The provider was asked to stop it, and answered. */
  isCancelTold: boolean
  /** Somebody outside stopped it. */
  isCancelledOutside: boolean
  /** How many pieces of its text it has written. */
  written: number
}

export interface Submission {
  readonly id: string
  readonly life: Life
  readonly announcedAt: number
  /** The same by the wall clock of its sender. */
  readonly sentAt: number
  readonly submitTimeout: number
  stage: "open" | "refused" | "accepted" | "ended"
  job: string | undefined
  acceptedAt: number
  acceptedBy: Life | undefined
  isAdopted: boolean
  isCancelRequested: boolean
  isSent: boolean
  /** Whether its sender was told that it may or may not be accepted. */
  isUncertain: boolean
  /** Whether it is certain that it was not accepted. */
  isRefused: boolean
  /** Whether the journal says that it was refused for good. */
  isRejected: boolean
  /** Whether the session waited for another job when its own ended. */
  endedAsSurplus: boolean
}

/** A key from its first entry until it is removed. */
export interface Incarnation {
  readonly key: string
  owner: string | undefined
  variant: Variant | undefined
  readonly submissions: Array<Submission>
  /** Submissions in the order in which they were accepted. */
  readonly acceptances: Array<Submission>
  settled: { readonly submission: Submission; readonly outcome: string; readonly isReference: boolean } | undefined
  isCancelWanted: boolean
  isRemoved: boolean
  removedAtStep: number
  wasBusyAtRemoval: boolean
  /** Submissions that were sent while another one was in doubt. */
  doubts: number
  /** The step at which the key was free for it. */
  readonly beganAtStep: number
  /** The step of the last `Ended`, and who saw it. */
  endedAtStep: number
  endedBy: Life | undefined
}

export interface Call {
  readonly number: number
  readonly life: Life
  readonly kind: "execute" | "stream" | "resume" | "recover" | "cancel" | "adopt" | "forget" | "webhook"
  readonly key: string
  readonly variant: Variant | undefined
  readonly policy: "fail" | "resubmit"
  readonly onInterrupt: "cancel" | "detach"
  readonly startedAt: number
  readonly startedAtStep: number
  readonly deadline: number
  readonly adopts: string | undefined
  /** The requests that owned the key while the call was on. */
  readonly owners: Set<string | undefined>
  isOver: boolean
  isInterrupted: boolean
  /** The text that it was told piece by piece. */
  heard: string
  /** The answer that its stream ended with. */
  completed: { readonly content: string } | undefined
}

/** The submission whose job a session waits for. */
export const awaited = (session: Incarnation): Submission | undefined =>
  session.acceptances.find(({ stage }) => stage === "accepted")

export const isWaiting = (call: Call): boolean => !call.isOver && isWaitingKind(call)

const isWaitingKind = (call: Call): boolean => hasRequest(call) || call.kind === "resume" || call.kind === "recover"

export const hasRequest = ({ kind }: Call): boolean => kind === "execute" || kind === "stream"

/** Only the id of an expired job is kept: it is asked for again, and may be back. */
export const mayBeBack = ({ settled }: Incarnation): boolean =>
  settled?.isReference === true && settled.outcome === "JobExpired"

export const outcomeOf = (job: Job | undefined): string => {
  switch (job?.status) {
    case "completed":
      return `answer ${job.content}`
    case "broken":
      return "JobFailed"
    case "incomplete":
      return "Incomplete"
    case "cancelled":
      return "JobCancelled"
    default:
      return "nothing"
  }
}

export const hasAdopted = (session: Incarnation, jobId: string): boolean =>
  session.submissions.some(({ job }) => job === jobId)

/** Whether a session that was removed had sent the submission of a job, so that its run may go on with it. */
export const hasJob = (session: Incarnation, job: Job | undefined): boolean =>
  session.isRemoved && session.submissions.some(({ id }) => id === job?.submissionId)

export const isSurplus = (session: Incarnation, submission: Submission): boolean =>
  (session.settled?.submission ?? awaited(session)) !== submission

export const isFirstOrWas = (session: Incarnation, submission: Submission): boolean => awaited(session) === submission
