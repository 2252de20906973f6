/**
 * A provider in memory that does what a test decides, and tells the specification what it was asked and what it said.
 */
import { Duration, Effect, Stream } from "effect"
import { LlmResponse, type Provider, ProviderError, Reason } from "holdfast"
import type { Job, Life } from "./Facts.ts"
import type { Specification } from "./Specification.ts"

/** What becomes of one submission. */
export const submitModes = [
  "accept",
  "answer",
  "refuse",
  "reject",
  "unsent",
  "lose",
  "drop",
  "swallow",
  "hold"
] as const
export type SubmitMode = typeof submitModes[number]

/** How polls are answered. */
export const pollModes = ["fine", "network", "denied", "busy", "missing", "hang"] as const
export type PollMode = typeof pollModes[number]

/** How cancels are answered. */
export const cancelModes = ["fine", "network", "hang", "ignored", "late"] as const
export type CancelMode = typeof cancelModes[number]

/** How a job's stream can be read again: as it should, from the beginning whatever is asked for, not at all, or in vain. */
export const streamModes = ["fine", "deaf", "refused", "silent"] as const
export type StreamMode = typeof streamModes[number]

/** How a stream can break: with an error, or as if it were over. */
export const cuts = ["reset", "end"] as const
export type Cut = typeof cuts[number]

/** What a lookup of a lost submission knows. */
export const lookups = ["none", "truthful", "unknown"] as const
export type Lookup = typeof lookups[number]

export const retention = Duration.minutes(30)

/** A submission that the provider has not decided about. */
interface Held {
  readonly submissionId: string
  readonly decide: (mode: "accept" | "refuse" | "lose") => void
}

type Through = <A, E>(operation: string, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

export class SimulatedProvider {
  readonly specification: Specification
  readonly lookup: Lookup
  /** Whether its streams tell each event's place, so that they can go on behind it. */
  readonly isNumbered: boolean
  /** What becomes of the next submissions, in order; then they are accepted. */
  readonly submits: Array<SubmitMode> = []
  polls: PollMode = "fine"
  cancels: CancelMode = "fine"
  streams: StreamMode = "fine"
  held: Array<Held> = []
  /** What its streams tell of each job, from the job's beginning. */
  private readonly told = new Map<string, Array<Provider.StreamEvent>>()
  /** The streams that wait for more. */
  private readonly readers = new Set<(cut?: Cut) => void>()
  /** Everything it was asked. */
  requests = 0

  constructor(specification: Specification, lookup: Lookup, isNumbered: boolean) {
    this.specification = specification
    this.lookup = lookup
    this.isNumbered = isNumbered
  }

  get jobs(): ReadonlyArray<Job> {
    return [...this.specification.jobs.values()]
  }

  /** The port as one life of a process sees it; `through` decides whether a request comes to its end. */
  port(life: Life, through: Through) {
    const jobs: Provider.JobsApi = {
      submit: (request, { submissionId }) =>
        through("submit", Effect.suspend(() => this.submit(life, String(request.prompt), submissionId))),
      retrieve: (jobId) => through("poll", Effect.suspend(() => this.retrieve(life, jobId))),
      cancel: (jobId) => through("cancel", Effect.suspend(() => this.cancel(life, jobId))),
      submitStream: (request, { submissionId }) =>
        Stream.unwrap(
          Effect.map(
            through("submit", Effect.suspend(() => this.submit(life, String(request.prompt), submissionId, true))),
            ({ jobId }) => this.watchNew(life, through, jobId, submissionId)
          )
        ),
      stream: (jobId, after) =>
        Stream.unwrap(through("stream", Effect.suspend(() => this.reopen(life, through, jobId, after)))),
      submissionOf: (jobId) => through("whose", Effect.suspend(() => this.submissionOf(life, jobId))),
      ...(this.lookup === "none" ? {} : {
        find: (submissionId: string) => through("find", Effect.sync(() => this.find(submissionId)))
      }),
      retention: { stored: retention, unstored: Duration.times(retention, 0.1) }
    }
    return jobs
  }

  /** With `isStreamed`, it is the stream that tells of the job. */
  private submit(life: Life, prompt: string, submissionId: string, isStreamed = false) {
    this.requests++
    const mode = this.submits.shift() ?? "accept"
    const { specification } = this
    specification.sent(life, submissionId, prompt.slice(-1))
    const accept = () => {
      const job = this.take(prompt, submissionId)
      return this.tellOf(life, () => {
        if (!isStreamed) specification.toldAccepted(life, job)
      }, { jobId: job.id, state: stateOf(job) })
    }
    const refuse = (error: ProviderError.ProviderError) =>
      this.tell(life, () => specification.toldRefused(life, submissionId), Effect.fail(error))
    const doubt = () =>
      this.tell(life, () => specification.toldUncertain(life, submissionId), Effect.fail(failure("Uncertain", reset)))
    switch (mode) {
      case "accept":
        return accept()
      case "answer": {
        const job = this.take(prompt, submissionId)
        job.status = "completed"
        return this.tellOf(life, () => {
          if (isStreamed) return
          specification.toldAccepted(life, job)
          specification.toldEnd(life, job)
        }, { jobId: job.id, state: stateOf(job) })
      }
      case "refuse":
        return refuse(failure("Refused", busy))
      case "reject":
        return refuse(failure("Refused", rejected))
      case "unsent":
        return refuse(failure("NotSent", reset))
      case "lose":
        this.take(prompt, submissionId)
        return doubt()
      case "drop":
        return doubt()
      case "swallow":
        this.take(prompt, submissionId)
        return this.silence(life, submissionId)
      case "hold":
        return Effect.callback<
          { readonly jobId: string; readonly state: Provider.JobState },
          ProviderError.ProviderError
        >(
          (resume) => {
            const held: Held = {
              submissionId,
              decide: (decision) => {
                this.held = this.held.filter((each) => each !== held)
                if (decision === "accept") return resume(accept())
                if (decision === "refuse") return resume(refuse(failure("Refused", busy)))
                this.take(prompt, submissionId)
                return resume(doubt())
              }
            }
            this.held.push(held)
            // The sender has hung up; what it sent may be taken all the same.
            return Effect.sync(() => {
              if (!life.isDead) specification.toldUncertain(life, submissionId)
            })
          }
        )
    }
  }

  private retrieve(life: Life, jobId: string): Effect.Effect<Provider.JobState, ProviderError.ProviderError> {
    this.requests++
    this.specification.polled(life, jobId)
    const job = this.specification.jobs.get(jobId)
    const trouble = this.trouble()
    if (this.polls === "denied") this.specification.toldDenied(life, jobId)
    if (trouble !== undefined) return trouble
    if (this.polls === "missing" || job === undefined || job.isGone) return this.missing(life, job)
    return this.tellOf(life, () => {
      if (isOver(job)) this.specification.toldEnd(life, job)
      else if (job.status === "odd") this.specification.toldOdd(life, job, "poll")
    }, stateOf(job))
  }

  /** What becomes of questions about jobs; `undefined`: they are answered. */
  private trouble(): Effect.Effect<never, ProviderError.ProviderError> | undefined {
    switch (this.polls) {
      case "network":
        return Effect.fail(failure("Uncertain", reset))
      case "denied":
        return Effect.fail(failure("Refused", denied))
      case "busy":
        return Effect.fail(failure("Refused", { ...busy, retryAfter: Duration.seconds(20) }))
      case "hang":
        return Effect.never
      case "fine":
      case "missing":
        return undefined
    }
  }

  private submissionOf(life: Life, jobId: string): Effect.Effect<string | undefined, ProviderError.ProviderError> {
    this.requests++
    const job = this.specification.jobs.get(jobId)
    const trouble = this.trouble()
    if (trouble !== undefined) return trouble
    if (this.polls === "missing" || job === undefined || job.isGone) return Effect.fail(failure("Refused", notFound))
    return job.isMute
      ? Effect.undefined
      : this.tellOf(life, () => this.specification.toldCarrier(life, job), job.submissionId)
  }

  private reopen(
    life: Life,
    through: Through,
    jobId: string,
    after: string | undefined
  ): Effect.Effect<Stream.Stream<Provider.StreamEvent, ProviderError.ProviderError>, ProviderError.ProviderError> {
    this.requests++
    this.specification.polled(life, jobId)
    if (this.streams === "refused") return Effect.fail(failure("Refused", rejected))
    const job = this.specification.jobs.get(jobId)
    const trouble = this.trouble()
    if (trouble !== undefined) return trouble
    if (this.polls === "missing" || job === undefined || job.isGone) return Effect.fail(failure("Refused", notFound))
    return Effect.succeed(
      this.watch(
        life,
        through,
        jobId,
        after === undefined || this.streams === "deaf" ? 0 : Number(after) + 1,
        this.streams === "silent"
      )
    )
  }

  /** The stream that a job is started with: the sender knows of the job when it has read the first event. */
  private watchNew(
    life: Life,
    through: Through,
    jobId: string,
    submissionId: string
  ): Stream.Stream<Provider.StreamEvent, ProviderError.ProviderError> {
    const { specification } = this
    let isStarted = false
    return this.watch(life, through, jobId, 0, false).pipe(
      Stream.mapEffect((event) =>
        this.tellOf(life, () => {
          const job = specification.jobs.get(jobId)
          if (event._tag === "Started" && job !== undefined) specification.toldAccepted(life, job)
          isStarted = true
        }, event)
      ),
      Stream.ensuring(Effect.sync(() => {
        if (!isStarted && !life.isDead) specification.toldUncertain(life, submissionId)
      }))
    )
  }

  /** Tells of a job from one of its events on, until its end or a cut. */
  private watch(
    life: Life,
    through: Through,
    jobId: string,
    from: number,
    isSilent: boolean
  ): Stream.Stream<Provider.StreamEvent, ProviderError.ProviderError> {
    return Stream.unfold(from, (index) =>
      Effect.flatMap(this.more(jobId, index, isSilent), (event) => {
        if (event === undefined) return Effect.undefined
        return through(
          "event",
          this.tell(life, () => {
            const job = this.specification.jobs.get(jobId)
            if (event._tag === "Ended" && job !== undefined) this.specification.readEnd(life, job)
          }, Effect.succeed([event, index + 1] as const))
        )
      }))
  }

  /** The event at a place in a job's stream, once there is one; `undefined` when the stream is over. */
  private more(
    jobId: string,
    index: number,
    isSilent: boolean
  ): Effect.Effect<Provider.StreamEvent | undefined, ProviderError.ProviderError> {
    return Effect.callback((resume) => {
      const look = (cut?: Cut): void => {
        const events = this.eventsOf(jobId)
        const event = isSilent ? undefined : events[index]
        if (cut === "reset") resume(Effect.fail(failure("Uncertain", reset)))
        else if (cut === "end" || (!isSilent && index > 0 && events[index - 1]?._tag === "Ended")) {
          resume(Effect.undefined)
        } else if (event !== undefined) resume(Effect.succeed(event))
        else return
        this.readers.delete(look)
      }
      this.readers.add(look)
      look()
      return Effect.sync(() => this.readers.delete(look))
    })
  }

  /** Lets the streams tell what has changed, or cuts them. */
  notify(cut?: Cut): void {
    for (const look of [...this.readers]) look(cut)
  }

  private eventsOf(jobId: string): ReadonlyArray<Provider.StreamEvent> {
    const job = this.specification.jobs.get(jobId)
    if (job === undefined) return []
    const events = this.told.get(jobId) ?? []
    this.told.set(jobId, events)
    if (events.at(-1)?._tag === "Ended") return events
    const add = (event: Provider.StreamEvent): void => {
      events.push(this.isNumbered ? { ...event, cursor: `${events.length}` } : event)
    }
    if (events.length === 0) add({ _tag: "Started", responseId: jobId })
    const pieces = job.content.match(/.{1,4}/g) ?? []
    const told = events.filter(({ _tag }) => _tag === "Text").length
    const written = job.status === "completed" ? pieces.length : job.written
    for (const delta of pieces.slice(told, written)) add({ _tag: "Text", delta })
    const state = stateOf(job)
    const status = state._tag === "Ended" ? undefined : state
    const last = events.findLast((event) => event._tag === "Status")
    if (status?._tag === "Pending" && last?.status !== status.status) add({ ...status, _tag: "Status" })
    if (state._tag === "Ended") add({ _tag: "Ended", outcome: state.outcome })
    return events
  }

  private cancel(life: Life, jobId: string): Effect.Effect<Provider.JobState, ProviderError.ProviderError> {
    this.requests++
    this.specification.cancelled(life, jobId)
    const job = this.specification.jobs.get(jobId)
    if (this.cancels === "network") return Effect.fail(failure("Uncertain", reset))
    if (this.cancels === "hang") return Effect.never
    if (job === undefined || job.isGone) return this.missing(life, job)
    if (!isOver(job) && this.cancels !== "ignored") job.status = this.cancels === "late" ? "completed" : "cancelled"
    this.notify()
    return this.tellOf(life, () => {
      job.isCancelTold = true
      if (isOver(job)) job.isEndTold = true
      else if (job.status === "odd") this.specification.toldOdd(life, job, "cancel")
    }, stateOf(job))
  }

  private find(submissionId: string): Provider.Lookup {
    this.requests++
    if (this.lookup === "unknown") return { _tag: "Unknown" }
    const job = this.jobs.find((each) => each.submissionId === submissionId)
    if (job !== undefined) return job.isGone ? { _tag: "Unknown" } : { _tag: "Found", jobId: job.id }
    if (this.held.some((held) => held.submissionId === submissionId)) return { _tag: "Unknown" }
    this.specification.toldAbsent(submissionId)
    return { _tag: "Absent" }
  }

  private take(prompt: string, submissionId: string): Job {
    const id = `job-${this.specification.jobs.size + 1}`
    const job: Job = {
      id,
      submissionId,
      content: `${prompt} by ${id}`,
      status: "queued",
      isGone: false,
      isMute: false,
      isEndTold: false,
      isMissingTold: false,
      isExpiryTold: false,
      isCancelTold: false,
      isCancelledOutside: false,
      written: 0
    }
    this.specification.jobs.set(id, job)
    this.specification.event(`provider takes ${id} for ${submissionId.slice(0, 4)}`)
    return job
  }

  private missing(life: Life, job: Job | undefined): Effect.Effect<never, ProviderError.ProviderError> {
    return this.tell(
      life,
      () => {
        if (job !== undefined) this.specification.toldMissing(life, job)
      },
      Effect.fail(failure("Refused", notFound))
    )
  }

  private silence(life: Life, submissionId: string): Effect.Effect<never> {
    return Effect.onInterrupt(Effect.never, () =>
      Effect.sync(() => {
        if (!life.isDead) this.specification.toldUncertain(life, submissionId)
      }))
  }

  private tellOf<A>(life: Life, tell: () => unknown, value: A): Effect.Effect<A> {
    return this.tell(life, tell, Effect.succeed(value))
  }

  // What a dead process would be told, nobody knows.
  private tell<A, E>(life: Life, tell: () => unknown, answer: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      if (!life.isDead) tell()
      return answer
    })
  }
}

/** Whether a job will not change any more. */
export const isOver = (job: Job): boolean =>
  job.status === "completed" || job.status === "failed" || job.status === "broken" || job.status === "incomplete" ||
  job.status === "cancelled"

/** What a poll says of a job. */
export const stateOf = (job: Job): Provider.JobState => {
  const ended = (outcome: Provider.Outcome): Provider.JobState => ({ _tag: "Ended", outcome })
  switch (job.status) {
    case "queued":
      return { _tag: "Pending", status: "queued", phase: "queued" }
    case "running":
      return { _tag: "Pending", status: "in_progress", phase: "running" }
    case "odd":
      return { _tag: "Unknown", status: "dreaming" }
    case "completed":
      return ended({
        _tag: "Succeeded",
        answer: new LlmResponse.Answer({
          content: job.content,
          finishReason: "stop",
          response: { id: job.id },
          model: "simulated",
          responseId: job.id
        })
      })
    case "failed":
      return ended({
        _tag: "Failed",
        verdict: {
          _tag: "Retryable",
          reason: new Reason.JobFailed({ message: "Failed", reason: new Reason.ServerError({ message: "Oops" }) })
        }
      })
    case "broken":
      return ended({
        _tag: "Failed",
        verdict: {
          _tag: "NonRetryable",
          reason: new Reason.JobFailed({ message: "Broken", reason: new Reason.InvalidRequest({ message: "No" }) })
        }
      })
    case "incomplete":
      return ended({
        _tag: "Failed",
        verdict: {
          _tag: "NonRetryable",
          reason: new Reason.Incomplete({ message: "Cut", content: "Half", limit: "max_output_tokens" })
        }
      })
    case "cancelled":
      return ended({
        _tag: "Failed",
        verdict: { _tag: "NonRetryable", reason: new Reason.JobCancelled({ message: "Cancelled" }) }
      })
  }
}

const reset: ProviderError.Verdict = { _tag: "Retryable", reason: new Reason.Network({ message: "Reset" }) }
const busy: Extract<ProviderError.Verdict, { _tag: "Retryable" }> = {
  _tag: "Retryable",
  reason: new Reason.Overloaded({ message: "Busy", status: 529 })
}
const rejected: ProviderError.Verdict = {
  _tag: "NonRetryable",
  reason: new Reason.InvalidRequest({ message: "No such parameter", status: 400 })
}
const denied: ProviderError.Verdict = {
  _tag: "NonRetryable",
  reason: new Reason.PermissionDenied({ message: "Not for you", status: 403 })
}
const notFound: ProviderError.Verdict = {
  _tag: "NonRetryable",
  reason: new Reason.NotFound({ message: "No such response", status: 404 })
}

const failure = (evidence: ProviderError.Evidence, verdict: ProviderError.Verdict): ProviderError.ProviderError =>
  new ProviderError.ProviderError({ verdict, evidence })
