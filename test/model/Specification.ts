/**
 * What sessions are allowed to do, in plain words: the reference that the engine is compared with. It is told of
 * every entry, every request and every answer, keeps the state that they add up to, and notes each step that the
 * contract does not allow.
 */
import { type Session, StrategyError, type Webhooks } from "holdfast"
import {
  awaited,
  type Call,
  hasAdopted,
  hasJob,
  hasRequest,
  type Incarnation,
  isFirstOrWas,
  isSurplus,
  isWaiting,
  type Job,
  type Life,
  mayBeBack,
  outcomeOf,
  type Submission,
  type Variant
} from "./Facts.ts"

/** Something that a living process has to write down at once. */
interface Debt {
  readonly life: Life
  readonly text: string
  readonly survivesStop: boolean
  readonly isPaid: () => boolean
}

export class Specification {
  readonly violations: Array<string> = []
  readonly jobs = new Map<string, Job>()
  readonly calls: Array<Call> = []
  readonly log: Array<string> = []
  private readonly current = new Map<string, Incarnation>()
  private readonly past: Array<Incarnation> = []
  private debts: Array<Debt> = []
  /** When a process was first given an answer about a job that is none, monotonic time in milliseconds. */
  private readonly firstTold = new Map<string, number>()
  /** Counts what happens. */
  step = 0
  /** A fault was put into some process's store: then calls may fail with `SessionUnavailable`. */
  hadStoreFault = false
  readonly retentionMillis: number
  /** Whose request a fingerprint is. */
  readonly owners: ReadonlyMap<string, Variant>

  private readonly clock: () => number

  constructor(
    clock: () => number,
    retentionMillis: number,
    owners: ReadonlyMap<string, Variant>
  ) {
    this.clock = clock
    this.retentionMillis = retentionMillis
    this.owners = owners
  }

  /** Monotonic time in milliseconds. */
  get now(): number {
    return this.clock()
  }

  // --- what there is

  incarnation(key: string): Incarnation {
    let found = this.current.get(key)
    if (found === undefined) {
      found = {
        key,
        owner: undefined,
        variant: undefined,
        submissions: [],
        acceptances: [],
        settled: undefined,
        isCancelWanted: false,
        isRemoved: false,
        removedAtStep: 0,
        wasBusyAtRemoval: false,
        doubts: 0,
        beganAtStep: this.past.findLast((session) => session.key === key)?.removedAtStep ?? 0,
        endedAtStep: -1,
        endedBy: undefined
      }
      this.current.set(key, found)
    }
    return found
  }

  exists(key: string): boolean {
    const { owner, submissions } = this.incarnation(key)
    return owner !== undefined || submissions.length > 0
  }

  keys(): ReadonlyArray<string> {
    return [...this.current.keys()]
  }

  incarnations(): ReadonlyArray<Incarnation> {
    return [...this.past, ...this.current.values()]
  }

  /** What became of a session, for somebody whose wall clock shows `wall`. */
  status(key: string, wall: number): Session.SessionStatus {
    const session = this.incarnation(key)
    const { settled, submissions } = session
    if (settled !== undefined) {
      if (settled.outcome.startsWith("answer ")) return "answered"
      return settled.outcome === "JobCancelled" ? "cancelled" : "failed"
    }
    if (awaited(session) !== undefined) return "running"
    const open = submissions.filter(({ stage }) => stage === "open")
    if (open.some(({ sentAt, submitTimeout }) => wall - sentAt < submitTimeout)) return "submitting"
    if (open.length > 0) return "uncertain"
    const last = submissions.findLast(({ endedAsSurplus }) => !endedAsSurplus)
    if (last === undefined) return "prepared"
    if (last.isCancelRequested) return "cancelled"
    return last.isRejected ? "failed" : "retrying"
  }

  /** Whether a job of the session may be running, or is not known. */
  isBusy(key: string): boolean {
    const session = this.incarnation(key)
    return session.settled === undefined &&
      (awaited(session) !== undefined || session.submissions.some(({ stage }) => stage === "open"))
  }

  /** What `inspect` has to say of a session's submissions. */
  submissionStates(key: string): ReadonlyArray<string> {
    const session = this.incarnation(key)
    const chosen = session.settled?.submission ?? awaited(session)
    return session.submissions.map((submission) => {
      const state = submission.stage === "accepted"
        ? submission === chosen ? "accepted" : "surplus"
        : submission.stage === "ended" && submission.isCancelRequested && chosen !== undefined
        ? "surplus"
        : submission.stage
      return `${submission.id} ${state} ${submission.job ?? ""}${submission.isCancelRequested ? " cancel" : ""}`
    })
  }

  // --- the journal

  /** Somebody appended an entry. */
  appended(life: Life, key: string, entry: Session.Entry): void {
    this.event(`${name(life)} ${key} ${entry._tag}${"submissionId" in entry ? ` ${short(entry.submissionId)}` : ""}`)
    const session = this.incarnation(key)
    switch (entry._tag) {
      case "Prepared":
        this.rule(session.owner === undefined, "a key gets one owner")
        session.owner = entry.fingerprint
        session.variant = this.owners.get(entry.fingerprint)
        this.rule(session.variant !== undefined, "a fingerprint is that of a request of the key")
        for (const call of this.calls) if (!call.isOver && call.key === key) call.owners.add(session.variant)
        return
      case "Submitting":
        return this.announced(life, session, entry)
    }
    const submission = session.submissions.find(({ id }) => id === entry.submissionId)
    if (submission === undefined) return this.rule(false, `${entry._tag} is about a submission of the session`)
    switch (entry._tag) {
      case "NotSubmitted":
        this.rule(submission.stage === "open", "only an open submission is written off")
        this.rule(
          submission.isRefused || (!submission.isSent && submission.life === life),
          "a submission is written off only when it was certainly not accepted, or never sent"
        )
        submission.stage = "refused"
        // The only refusal of this provider that another try would not cure.
        submission.isRejected = entry.reason._tag === "InvalidRequest"
        return
      case "Accepted": {
        const job = this.jobs.get(entry.jobId)
        if (entry.ignoredBackground === true) {
          return this.rule(
            submission.job === entry.jobId && (job === undefined || job.isMissingTold),
            "a job that is in the journal is only ever marked as one that the provider does not know"
          )
        }
        this.rule(
          session.submissions.every((other) => other.job !== entry.jobId || other.life !== submission.life),
          "a job is accepted once"
        )
        this.rule(
          job?.submissionId === submission.id || (job?.isMute !== false && this.isAdopting(life, key, entry.jobId)),
          "a job id is the submission's own, or was adopted and says of no other that it came of it"
        )
        // Another job was adopted for it first: both are the session's.
        const isSecond = submission.job !== undefined
        const accepted = isSecond
          ? { ...submission, id: `${submission.id}+${entry.jobId}`, isCancelRequested: false, endedAsSurplus: false }
          : submission
        if (isSecond) session.submissions.push(accepted)
        accepted.stage = "accepted"
        accepted.job = entry.jobId
        accepted.acceptedAt = entry.at
        accepted.acceptedBy = life
        accepted.isAdopted = this.isAdopting(life, key, entry.jobId)
        session.acceptances.push(accepted)
        return
      }
      case "Ended": {
        const job = this.jobs.get(submission.job ?? "")
        this.rule(submission.stage === "accepted", "only a job can end")
        if (isSurplus(session, submission)) {
          this.rule(
            submission.isCancelRequested && (job?.isCancelTold === true || job?.isGone === true),
            "a surplus job is ended only when it was cancelled"
          )
          submission.stage = "ended"
          submission.endedAsSurplus = true
          return
        }
        this.rule(job?.status === "failed" && job.isEndTold, "a job is ended only when it failed and a new one may do")
        submission.stage = "ended"
        session.endedAtStep = this.step
        session.endedBy = life
        return
      }
      case "CancelRequested":
        this.rule(!submission.isCancelRequested, "a cancel is journaled once")
        if (this.leaves(life, key) || this.isCancelling(life, key)) session.isCancelWanted = true
        this.rule(
          session.isCancelWanted || isSurplus(session, submission),
          "a job is cancelled only when somebody wants it, or when it is surplus"
        )
        submission.isCancelRequested = true
        return
      case "Settled":
        return this.settled(session, submission, entry)
    }
  }

  removed(life: Life, key: string): void {
    this.event(`${name(life)} ${key} removed`)
    const session = this.incarnation(key)
    session.wasBusyAtRemoval = this.isBusy(key)
    session.isRemoved = true
    session.removedAtStep = this.step
    this.past.push(session)
    this.current.delete(key)
    for (const call of this.calls) if (!call.isOver && call.key === key) call.owners.add(undefined)
  }

  private announced(life: Life, session: Incarnation, entry: typeof Session.Submitting.Type): void {
    const { key } = session
    const callers = this.calls.filter((call) =>
      call.life === life && call.key === key && hasRequest(call) && call.variant === session.variant
    )
    for (const [isKept, text] of this.sendingRules(life, session, callers)) this.rule(isKept, text)
    if (session.submissions.some(({ stage }) => stage === "open")) session.doubts++
    session.submissions.push({
      id: entry.submissionId,
      life,
      announcedAt: this.now,
      sentAt: entry.at,
      submitTimeout: entry.submitTimeout,
      stage: "open",
      job: undefined,
      acceptedAt: 0,
      acceptedBy: undefined,
      isAdopted: false,
      isCancelRequested: false,
      isSent: false,
      isUncertain: false,
      isRefused: false,
      isRejected: false,
      endedAsSurplus: false
    })
  }

  /** The rules for another submission of a session by a process that has these callers, and whether each is kept now. */
  sendingRules(
    life: Life,
    session: Incarnation,
    callers: ReadonlyArray<Pick<Call, "policy" | "startedAtStep">>
  ): ReadonlyArray<readonly [isKept: boolean, text: string]> {
    return [
      [callers.length > 0, "a submission is sent only for a caller with the session's request"],
      [session.settled === undefined, "a settled session sends nothing"],
      [awaited(session) === undefined, "a session that has a job sends nothing"],
      [
        session.endedBy !== life || callers.some(({ startedAtStep }) => startedAtStep > session.endedAtStep),
        "who saw a job fail sends another only for a call that came later"
      ],
      ...session.submissions.filter(({ stage }) => stage === "open").flatMap((open) =>
        [
          [
            callers.some(({ policy }) => policy === "resubmit"),
            "while a submission is in doubt, only the policy resubmit sends another"
          ],
          [
            this.isInDoubt(life, open),
            "a submission is in doubt only after an uncertain answer, or after submitTimeout"
          ]
        ] as const
      )
    ]
  }

  /** Whether a process may take an open submission for one whose sender is not at work any more. */
  isInDoubt(life: Life, open: Submission): boolean {
    return (open.life === life && open.isUncertain) || this.now - open.announcedAt >= open.submitTimeout
  }

  private settled(
    session: Incarnation,
    submission: Submission,
    { settlement }: typeof Session.Settled.Type
  ): void {
    this.rule(session.settled === undefined, "a session is settled once")
    const job = this.jobs.get(submission.job ?? "")
    const isReference = settlement._tag === "Reference"
    const told = settlement._tag === "Answered"
      ? `answer ${settlement.answer.content}`
      : settlement._tag === "Failed"
      ? settlement.error.reason._tag
      : job?.isEndTold === true
      ? outcomeOf(job)
      : "JobExpired"
    this.rule(
      submission.job !== undefined && isFirstOrWas(session, submission),
      "a session is settled by the job that it waits for"
    )
    if (told === "JobExpired") {
      this.rule(
        job === undefined || job.isExpiryTold,
        "a job has expired only when the provider does not know it after its retention"
      )
    } else {
      this.rule(job !== undefined && job.isEndTold && told === outcomeOf(job), `the job did end as ${told}`)
    }
    if (told === "JobCancelled") {
      this.rule(
        session.isCancelWanted || job?.isCancelledOutside === true ||
          this.incarnations().some((other) => other !== session && hasAdopted(other, submission.job ?? "")),
        "a session is settled as cancelled only when somebody wanted its job stopped"
      )
    }
    session.settled = { submission, outcome: told, isReference }
  }

  // --- the provider

  /** A submission reaches the provider. */
  sent(life: Life, submissionId: string, variant: string): void {
    this.event(`${name(life)} submit ${short(submissionId)}`)
    const session = this.incarnations().find(({ submissions }) => submissions.some(({ id }) => id === submissionId))
    const submission = session?.submissions.find(({ id }) => id === submissionId)
    if (session === undefined || submission === undefined) {
      return this.rule(false, "a submission is in the journal before it is sent")
    }
    this.rule(!submission.isSent, "a submission is sent once")
    this.rule(submission.life === life, "a submission is sent by who announced it")
    this.rule(session.variant === variant, "what is sent is the session's request")
    this.rule(submission.stage !== "refused", "a submission that was written off is not sent any more")
    submission.isSent = true
    const paid = [...this.jobs.values()].filter((job) => session.submissions.some(({ id }) => id === job.submissionId))
    const ended = session.submissions.filter(({ stage }) => stage === "ended")
    this.rule(paid.length <= ended.length + session.doubts, "a session is paid for once")
  }

  /** The sender is told that the provider has the job. */
  toldAccepted(life: Life, job: Job): void {
    this.event(`${name(life)} told accepted ${job.id}`)
    const { session } = this.find(job.submissionId)
    this.owe(life, `${job.id} is journaled`, true, () => session.isRemoved || hasAdopted(session, job.id))
  }

  /** The sender is told that a submission was refused. */
  toldRefused(life: Life, submissionId: string): void {
    this.event(`${name(life)} told refused ${short(submissionId)}`)
    const { session, submission } = this.find(submissionId)
    submission.isRefused = true
    this.owe(life, "the refusal is journaled", true, () => session.isRemoved || submission.stage !== "open")
  }

  toldUncertain(life: Life, submissionId: string): void {
    this.event(`${name(life)} told uncertain ${short(submissionId)}`)
    this.find(submissionId).submission.isUncertain = true
  }

  /** A lookup says that the provider has no job of a submission. */
  toldAbsent(submissionId: string): void {
    this.find(submissionId).submission.isRefused = true
  }

  /** A living process is told whose job it is: if its fate was not known, it is now. */
  toldCarrier(life: Life, job: Job): void {
    this.event(`${name(life)} told that ${job.id} is of ${short(job.submissionId)}`)
    // Who adopts a job asks for a session that need not be its own.
    if (this.calls.some((call) => call.life === life && !call.isOver && call.adopts === job.id)) return
    const { session, submission } = this.find(job.submissionId)
    if (submission.stage !== "open") return
    this.owe(
      life,
      `${job.id} is given to its submission`,
      false,
      () => session.isRemoved || submission.stage !== "open"
    )
  }

  /** A poll is sent, or a stream opened. */
  polled(life: Life, jobId: string): void {
    this.event(`${name(life)} poll ${jobId}`)
    this.rule(
      this.incarnations().some((session) => hasJob(session, this.jobs.get(jobId)) || hasAdopted(session, jobId)) ||
        this.calls.some((call) => call.life === life && !call.isOver && call.adopts === jobId),
      "a job is in the journal before it is polled"
    )
  }

  /** A living process is told how a job ended, by a poll. */
  toldEnd(life: Life, job: Job): void {
    this.event(`${name(life)} told ${job.id} ${job.status}`)
    job.isEndTold = true
    // Who adopts a job has looked at it for a session that need not be its own.
    if (this.calls.some((call) => call.life === life && !call.isOver && call.adopts === job.id)) return
    this.oweReturn(life, job)
    for (const session of this.awaiting(job)) {
      const submission = awaited(session)
      if (
        submission === undefined ||
        !this.calls.some((call) => isWaiting(call) && call.life === life && call.key === session.key)
      ) continue
      this.owe(
        life,
        `the end of ${job.id} is journaled`,
        false,
        () =>
          session.isRemoved || session.settled !== undefined || submission.stage === "ended" ||
          !this.calls.some((call) => isWaiting(call) && call.life === life && call.key === session.key)
      )
    }
  }

  /** A living process reads the end of a job in its stream; perhaps in one that nobody needs any more. */
  readEnd(life: Life, job: Job): void {
    this.event(`${name(life)} reads ${job.id} ${job.status}`)
    job.isEndTold = true
  }

  /** A living process is told that it may not ask for a job. */
  toldDenied(life: Life, jobId: string): void {
    this.toldFirst(life, jobId, "PermissionDenied")
  }

  /** A living process is told that there is no such job. */
  toldMissing(life: Life, job: Job): void {
    job.isMissingTold = true
    this.toldFirst(life, job.id, "NotFound")
    const since = this.incarnations().flatMap(({ submissions }) =>
      submissions.filter((submission) => submission.job === job.id).map(({ acceptedAt }) => acceptedAt)
    )
    const wall = Math.max(0, this.now + life.wallOffset)
    if (since.some((acceptedAt) => wall - acceptedAt > this.retentionMillis)) job.isExpiryTold = true
    // Who sent it goes by the clock that does not jump.
    if (this.now - this.find(job.submissionId).submission.announcedAt > this.retentionMillis) job.isExpiryTold = true
  }

  /** A living process is told of a status that nobody knows: whoever waits is told so, if it was by a poll. */
  toldOdd(life: Life, job: Job, by: "poll" | "cancel"): void {
    this.event(`${name(life)} told ${job.id} ${job.status}`)
    this.toldFirst(life, job.id, "InvalidResponse")
    if (by === "poll") this.oweReturn(life, job)
  }

  /** Those who wait for a job have heard of it. */
  private oweReturn(life: Life, job: Job): void {
    for (const session of this.awaiting(job)) {
      // Who came before the session was removed and made again may wait for the job that it had then.
      const waiting = this.calls.filter((call) =>
        isWaiting(call) && call.life === life && call.key === session.key &&
        call.startedAtStep >= session.beganAtStep && (call.variant ?? session.variant) === session.variant
      )
      this.owe(life, `who waits for ${job.id} is told of it`, false, () => waiting.every(({ isOver }) => isOver))
    }
  }

  /** A cancel is sent. */
  cancelled(life: Life, jobId: string): void {
    this.event(`${name(life)} cancel ${jobId}`)
    // The entry that says so may take too long.
    for (const session of this.current.values()) {
      if (hasAdopted(session, jobId) && this.leaves(life, session.key)) session.isCancelWanted = true
    }
    this.rule(
      this.incarnations().some((session) =>
        session.isRemoved ||
        session.submissions.some(({ isCancelRequested, job }) => job === jobId && isCancelRequested)
      ) || life.disturbedUntil > 0,
      "a cancel is in the journal before it is sent"
    )
  }

  // --- the callers

  /** A call begins. */
  called(
    call: Omit<
      Call,
      "number" | "startedAt" | "startedAtStep" | "owners" | "isOver" | "isInterrupted" | "heard" | "completed"
    >
  ): Call {
    const started: Call = {
      ...call,
      number: this.calls.length,
      startedAt: this.now,
      startedAtStep: ++this.step,
      owners: new Set([this.incarnation(call.key).variant]),
      isOver: false,
      isInterrupted: false,
      heard: "",
      completed: undefined
    }
    this.calls.push(started)
    this.event(`${name(call.life)} ${call.kind} ${call.key} ${call.variant ?? ""} begins`)
    return started
  }

  /** Whether a `cancel` of the key is on its way: it is for the session that it finds, which may be a new one. */
  isCancelling(life: Life, key: string): boolean {
    return this.calls.some((call) => call.kind === "cancel" && call.life === life && call.key === key && !call.isOver)
  }

  /** Whether a caller has left whose job is to be cancelled then. */
  leaves(life: Life, key: string): boolean {
    return this.calls.some((call) =>
      call.life === life && call.key === key && call.onInterrupt === "cancel" &&
      (call.isOver || life.isStopping || this.now - call.startedAt >= call.deadline)
    )
  }

  /** A caller that watches is told a piece of the answer. */
  heardPiece(call: Call, delta: string, offset: number): void {
    this.event(`${name(call.life)} ${call.key} hears "${delta}"`)
    this.rule(call.completed === undefined, "nothing is told after the answer")
    this.rule(delta !== "", "no piece of text is empty")
    this.rule(offset === call.heard.length, "a piece of text begins where the last one ended")
    call.heard += delta
    this.rule(
      [...this.jobs.values()].some((job) =>
        job.content.startsWith(call.heard) &&
        (this.hadStoreFault ||
          this.incarnations().some((session) => hasAdopted(session, job.id) || hasJob(session, job)))
      ),
      `what is told is the text of one job that is in a journal, not ${call.heard}`
    )
  }

  /** A caller that watches is told the whole answer. */
  heardAnswer(call: Call, answer: { readonly content: string }): void {
    this.rule(call.completed === undefined, "the answer is told once")
    this.rule(answer.content === call.heard, `the pieces are the answer ${answer.content}, not ${call.heard}`)
    call.completed = answer
  }

  /** A webhook was handled. */
  heeded(call: Call, receipt: Webhooks.Receipt, jobId: string, wasKnown: boolean): void {
    this.event(`${name(call.life)} heeds ${receipt._tag} ${jobId}`)
    switch (receipt._tag) {
      case "Ignored":
        return this.rule(false, "the end of a job is not ignored")
      case "Unknown":
        return this.rule(!wasKnown, "a webhook about a job that a journal knows finds its session")
      case "Settled": {
        const sessions = this.incarnations().filter(({ key }) => key === receipt.session)
        this.rule(
          sessions.some((session) =>
            session.submissions.some((submission) =>
              submission.job === jobId &&
              (session.isRemoved || session.settled !== undefined || submission.stage === "ended" ||
                isSurplus(session, submission))
            )
          ),
          "a job whose webhook was heeded is at its end in the journal"
        )
      }
    }
  }

  /** Whether the journal of a session that is there tells of a job. */
  isKnown(jobId: string): boolean {
    return [...this.current.values()].some((session) => hasAdopted(session, jobId))
  }

  /** Whether a session that had a job was removed. */
  wasRemoved(jobId: string): boolean {
    return this.past.some((session) => hasAdopted(session, jobId))
  }

  /** A call that waits for an answer returns one. */
  answered(call: Call, answer: { readonly content: string; readonly settled: boolean; readonly attempts: number }) {
    const what = `answer ${answer.content}`
    this.event(`${name(call.life)} ${call.key} returns ${what}`)
    const job = [...this.jobs.values()].find(({ content }) => content === answer.content)
    const sessions = this.incarnations().filter((session) =>
      session.key === call.key && job !== undefined && (hasAdopted(session, job.id) || hasJob(session, job))
    )
    // A job that was adopted by a later session of the key is that of both.
    const session = sessions.findLast(({ variant }) => variant === call.variant) ?? sessions.at(-1)
    if (session === undefined) return this.rule(false, "an answer is that of a job of its session")
    this.rule(
      call.variant === undefined || session.variant === call.variant,
      "an answer goes to the request that it belongs to"
    )
    this.rule(
      sessions.some(({ isRemoved, removedAtStep }) => !isRemoved || removedAtStep > call.startedAtStep) ||
        this.hadStoreFault || call.life.disturbedUntil > 0,
      "who comes after a session was removed gets nothing of it"
    )
    this.rule(answer.attempts <= 5, "a call sends five submissions at most")
    if (answer.settled) {
      this.rule(
        session.settled?.outcome === what || mayBeBack(session),
        `the answer is the settled one, not ${session.settled?.outcome}`
      )
    } else {
      this.rule(
        this.incarnations().some((each) => each.isRemoved && (hasAdopted(each, job?.id ?? "") || hasJob(each, job))) ||
          call.life.disturbedUntil > 0 || this.now - call.startedAt >= call.deadline,
        "an answer is settled, unless there was no time to write it"
      )
    }
  }

  /** A call that waits for an answer fails. */
  failed(call: Call, error: StrategyError.StrategyError): void {
    const reason = error._tag === "Timeout" ? "" : error.reason._tag
    this.event(`${name(call.life)} ${call.key} fails ${error._tag} ${reason}`)
    if (error._tag === "Timeout") {
      return this.rule(this.now - call.startedAt >= call.deadline, "a call times out at its deadline, not before")
    }
    if (error._tag === "Retryable") this.rule(error.attempts <= 5, "a call sends five submissions at most")
    const sessions = this.incarnations().filter(({ key }) => key === call.key)
    // A run goes on with the job of a session that was removed.
    const isForgotten = sessions.some(({ isRemoved }) => isRemoved)
    // At the deadline, an end that is not written down yet is told all the same, and so it is when that takes too long.
    const isLateNow = this.now - call.startedAt >= call.deadline || call.life.disturbedUntil > 0
    const isLate = isLateNow &&
      sessions.some((session) => session.acceptances.some(({ job }) => outcomeOf(this.jobs.get(job ?? "")) === reason))
    const isWithoutRequest = call.kind === "resume" || call.kind === "recover"
    const isAllowed = (): boolean => {
      switch (reason) {
        case "SessionMismatch":
          return hasRequest(call) && [...call.owners].some((owner) => owner !== call.variant)
        case "SessionNotFound":
        case "RequestNeeded":
          return isWithoutRequest
        case "SubmissionUncertain":
          return sessions.some(({ submissions }) => submissions.some(({ stage }) => stage === "open"))
        case "JobFailed":
          return error._tag === "Retryable"
            ? isForgotten || sessions.some(({ submissions }) => submissions.some(({ stage }) => stage === "ended"))
            : isForgotten || isLate ||
              sessions.some((session) => session.settled?.outcome === reason || mayBeBack(session))
        case "JobCancelled":
          return isForgotten || isLate ||
            sessions.some((session) =>
              session.settled?.outcome === reason || mayBeBack(session) ||
              session.submissions.some(({ isCancelRequested, stage }) => stage === "refused" && isCancelRequested)
            )
        case "Incomplete":
          return isForgotten || isLate ||
            sessions.some((session) => session.settled?.outcome === reason || mayBeBack(session))
        case "JobExpired":
          return isForgotten ||
            sessions.some(({ acceptances, settled }) =>
              settled?.outcome === reason || (settled?.isReference === true && this.isGone(settled.submission)) ||
              acceptances.some(({ job, stage }) =>
                (isLateNow || stage === "ended") && this.jobs.get(job ?? "")?.isExpiryTold === true
              )
            )
        case "StreamInterrupted":
          // It watched one job, and the session was settled by another one.
          return call.kind === "stream" && call.heard !== "" &&
            sessions.some(({ acceptances }) =>
              acceptances.some(({ job }) => this.jobs.get(job ?? "")?.content.startsWith(call.heard) === false)
            )
        case "NotFound":
          return this.lasts(call, sessions, reason, 60_000)
        case "PermissionDenied":
          return this.lasts(call, sessions, reason, 300_000)
        case "InvalidResponse":
          return this.lasts(call, sessions, reason, 0)
        case "Overloaded":
        case "Network":
        case "InvalidRequest":
          return sessions.some(({ submissions }) =>
            submissions.some(({ isRefused, isUncertain }) => isRefused || isUncertain)
          )
        case "SessionUnavailable":
          return this.hadStoreFault
        default:
          return false
      }
    }
    this.rule(isAllowed(), `a ${call.kind} has a reason to fail with ${reason}`)
  }

  // --- time

  /** Nothing is on its way: whatever a living process owes is written down. */
  quiet(): void {
    this.debts = this.debts.filter((debt) => {
      if (debt.isPaid() || debt.life.isDead || (debt.life.isStopping && !debt.survivesStop)) return false
      if (debt.life.disturbedUntil > this.now) return true
      this.rule(false, debt.text)
      return false
    })
    for (const call of this.calls) {
      if (call.isOver || call.life.isDead || call.life.isStopping) continue
      // What `recover` waits for is each session, after it has found them.
      const found = call.kind === "recover" ? 300_000 : 0
      this.rule(
        this.now - call.startedAt <= call.deadline + found || call.life.disturbedUntil > this.now,
        `the ${call.kind} ${call.number} ends by its deadline`
      )
    }
  }

  rule(isKept: boolean, text: string): void {
    if (!isKept) this.violations.push(`Broken: ${text} (at ${this.now} ms, step ${this.step})`)
  }

  event(text: string): void {
    this.step++
    this.log.push(`${String(this.now).padStart(9)}  ${text}`)
  }

  private owe(life: Life, text: string, survivesStop: boolean, isPaid: () => boolean): void {
    this.debts.push({ life, text, survivesStop, isPaid })
  }

  private find(submissionId: string): { readonly session: Incarnation; readonly submission: Submission } {
    for (const session of this.incarnations()) {
      const submission = session.submissions.find(({ id }) => id === submissionId)
      if (submission !== undefined) return { session, submission }
    }
    throw new Error(`There is no submission ${submissionId}`)
  }

  /** The session that waits for its own job. An adopted one may be another session's as well. */
  private awaiting(job: Job): ReadonlyArray<Incarnation> {
    // A session that has adopted another one's job polls it, too: what it is told, the other one is told later.
    const isShared = this.incarnations().some(({ submissions }) =>
      submissions.some((submission) => submission.isAdopted && submission.job === job.id)
    )
    if (isShared) return []
    return [...this.current.values()].filter((session) => {
      const submission = awaited(session)
      return submission?.job === job.id && submission.id === job.submissionId
    })
  }

  private isAdopting(life: Life, key: string, jobId: string): boolean {
    return this.calls.some((call) => call.life === life && call.key === key && call.adopts === jobId)
  }

  private toldFirst(life: Life, jobId: string, what: string): void {
    const answer = `${name(life)} ${jobId} ${what}`
    if (!this.firstTold.has(answer)) this.firstTold.set(answer, this.now)
  }

  /** Whether a caller's process was told so of one of the key's jobs, for the first time so long ago. */
  private lasts(call: Call, sessions: ReadonlyArray<Incarnation>, what: string, millis: number): boolean {
    const isTold = (job: string | undefined): boolean =>
      this.now - (this.firstTold.get(`${name(call.life)} ${job} ${what}`) ?? Infinity) >= millis
    return sessions.some(({ submissions }) =>
      submissions.some(({ id, job }) =>
        // The job of a session that was removed is in no journal.
        isTold(job) || [...this.jobs.values()].some((each) => each.submissionId === id && isTold(each.id))
      )
    )
  }

  private isGone(submission: Submission): boolean {
    const job = this.jobs.get(submission.job ?? "")
    return job === undefined || job.isMissingTold
  }
}

const name = (life: Life): string => `p${life.process}.${life.number}`

const short = (id: string): string => id.slice(0, 4)
