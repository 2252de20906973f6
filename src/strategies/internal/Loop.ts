/**
 * The loop of a run: loads the journal, asks `Decision.next` for the next step, performs it, and repeats.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ProviderError } from "../../errors/ProviderError.ts"
import { type InvalidOutput, SessionMismatch } from "../../errors/Reason.ts"
import { NonRetryable, type StrategyError } from "../../errors/StrategyError.ts"
import type { JobState, Lookup, Outcome, RetryBudget } from "../../services/Provider.ts"
import type { ResponseRequest } from "../../services/ResponseRequest.ts"
import { type AcceptedSubmission, apply, emptyState, noVersion, type SessionState } from "../../services/Session.ts"
import * as StructuredOutput from "../../services/StructuredOutput.ts"
import * as Decision from "./Decision.ts"
import { type Unusable, unusableModels } from "./FallbackChain.ts"
import { afterFailure, cancelOthers, prepareWait, type Wait } from "./JobWait.ts"
import type { Loaded } from "./Journal.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import type { Waiter } from "./Poller.ts"
import { prepare } from "./ResolveRequest.ts"
import { type Retries, waitForRetry } from "./RetryWait.ts"
import { isParked, type Run, type RunResult, type Work } from "./Run.ts"
import { send } from "./Submission.ts"
import { settle, settledResult, type Settling } from "./Settlement.ts"
import type { RunContext } from "./RunContext.ts"
import { recordEnd } from "./SubmissionRecords.ts"
import { awaitOutcome, lookUp, recordUnsent } from "./SubmissionLookup.ts"
import { forgetResolved } from "./UncertainSubmissions.ts"
import type { WaitingJob } from "./WaitingJob.ts"

/** Takes a run to its end. */
export const drive = (
  run: Run,
  order: Work | undefined,
  shared: RunContext
): Effect.Effect<RunResult | typeof isParked, StrategyError> =>
  proceed(run, shared, {
    request: order?.request,
    plan: order?.plan,
    position: 0,
    unusable: undefined,
    invalid: undefined,
    failure: undefined,
    ended: undefined,
    lookups: noLookups,
    retries: { steps: undefined },
    budget: undefined,
    firstState: undefined,
    submissions: 0,
    loaded: { state: emptyState, version: noVersion },
    isCurrent: false
  })

/** What a run knows beside the journal. Only this file changes it. */
interface Memory {
  /** Dropped while a job is waited for that no other submission can follow: the prompt may be big. */
  request: ResponseRequest | undefined
  plan: Decision.Plan | undefined
  position: number
  /** The models that cannot be asked; `undefined` until they are looked for. */
  unusable: Unusable | undefined
  invalid: InvalidOutput | undefined
  failure: Decision.Failure | undefined
  ended: Decision.Ended | undefined
  lookups: ReadonlyMap<string, Lookup>
  retries: Retries
  /** The budget for retries of the account that was asked last. */
  budget: RetryBudget | undefined
  /** The state in which the job was accepted. */
  firstState: JobState | undefined
  /** How many submissions the session had when the run began to wait for a job. */
  submissions: number
  /** The journal as it was last read. */
  loaded: Loaded
  /** Whether the next step is decided on `loaded`, without reading the journal again. */
  isCurrent: boolean
}

const noLookups: Memory["lookups"] = new Map()

/** What is left to do. A generator that ran it would be kept in memory for as long as a job runs. */
type Next = () => Effect.Effect<RunResult | typeof isParked, StrategyError>

const proceed = (
  run: Run,
  shared: RunContext,
  memory: Memory
): Effect.Effect<RunResult | typeof isParked, StrategyError> =>
  Effect.flatMap(advance(run, shared, memory), (next) => next())

/** Performs steps until there is a job to wait for, or an end. */
const advance = Effect.fnUntraced(function*(
  run: Run,
  shared: RunContext,
  memory: Memory
): Effect.fn.Return<Next, StrategyError> {
  while (true) {
    const { state } = yield* load(run, shared, memory)
    const step = Decision.next(state, memory.plan, factsOf(run, shared, memory))
    switch (step._tag) {
      case "Finish":
        yield* cancelOthers(run, shared, step.surplus)
        return () => settledResult(run, shared, state, step.settled)
      case "AwaitJob":
        joinJob(run, memory, state, step.job)
        return () => waitForJob(run, shared, memory, step)
      case "AwaitSubmission":
        yield* awaitOutcome(run, shared.uncertain, step.submission)
        break
      case "RecordUnsent":
        yield* recordUnsent(run, shared.uncertain, step.submission)
        break
      case "LookUp":
        memory.lookups = new Map(memory.lookups).set(
          step.submission.id,
          yield* lookUp(run, shared.providers, step.submission)
        )
        break
      case "WaitToLookUp":
        run.update({ phase: "submit", status: "looking for a submission" })
        yield* Effect.sleep(step.again)
        memory.lookups = noLookups
        break
      case "Submit":
        yield* submit(run, shared, memory, step)
        break
      case "WaitToRetry": {
        const final = yield* waitForRetry(run, memory.retries, step.error, memory.budget)
        memory.failure = final === undefined ? undefined : { error: final, isFinal: true }
        break
      }
      case "RecordFailure":
        yield* recordEndAtBest(run, step.end)
        memory.ended = undefined
        memory.failure = { error: step.error, isFinal: false }
        break
      case "NextModel":
        if (step.end !== undefined) yield* recordEndFirst(run, step.end)
        run.notePassedOver([...run.passedOver, ...step.passed])
        yield* startAfresh(run, memory, { position: step.position, invalid: undefined })
        break
      case "Repair":
        yield* recordEndFirst(run, step.end)
        yield* startAfresh(run, memory, { position: memory.position, invalid: step.invalid })
        break
      case "FollowOther":
        yield* startAfresh(run, memory, memory)
        memory.failure = step.failure
        break
      case "Settle":
        return () => settleOrFollow(run, shared, memory, step)
      case "Stop":
        if (step.end !== undefined) yield* recordEndAtBest(run, step.end)
        return yield* stop(run, step)
    }
  }
})

/** Reads the journal. An answer that has arrived does not wait for it, and a failure is judged without it if need be. */
const load = (run: Run, shared: RunContext, memory: Memory): Effect.Effect<Loaded, StrategyError> => {
  const { ended, isCurrent, loaded } = memory
  memory.isCurrent = false
  if (isCurrent || ended?.outcome._tag === "Succeeded") return Effect.succeed(loaded)
  const read = Effect.tap(loadOwn(run), (loaded) =>
    Effect.sync(() => {
      memory.loaded = loaded
      forgetResolved(shared.uncertain, loaded.state)
    }))
  return ended === undefined ? read : Effect.catch(read, () => Effect.succeed(loaded))
}

/** Reads the journal of a run's session. Fails when it belongs to another request. */
export const loadOwn = (run: Run): Effect.Effect<Loaded, StrategyError> =>
  run.spec.journal.load.pipe(
    Effect.mapError((error) => run.unavailable(error)),
    Effect.tap(({ state }) => Effect.sync(() => run.fingerprintInJournal = state.fingerprint)),
    Effect.filterOrFail(
      ({ state }) =>
        run.spec.fingerprint === undefined || state.fingerprint === undefined ||
        state.fingerprint === run.spec.fingerprint,
      () => sessionMismatch(run.spec.key)
    )
  )

/** The error for a key that belongs to another request. */
export const sessionMismatch = (session: string | undefined): NonRetryable =>
  new NonRetryable({
    reason: new SessionMismatch({ message: "The session key belongs to another request" }),
    session
  })

const placeOf = ({ position, unusable = noneUnusable }: Memory): Decision.Position => ({ position, unusable })

const noneUnusable: Unusable = new Map()

const factsOf = (run: Run, { uncertain }: RunContext, memory: Memory): Decision.Facts => ({
  canSubmit: run.canSubmit,
  own: run.own,
  unsent: uncertain.unsent,
  lost: uncertain.lost,
  lookups: memory.lookups,
  ...placeOf(memory),
  failure: memory.failure,
  ended: memory.ended,
  hasStreamed: run.transcript?.hasContent === true
})

/** Continues where the run was that sent a job. */
const joinJob = (run: Run, memory: Memory, state: SessionState, job: AcceptedSubmission): void => {
  if (!run.own.includes(job.id)) {
    run.notePassedOver(Decision.passedOverBefore(state, job.id))
    if (memory.plan !== undefined) Object.assign(memory, Decision.joinJob(state, memory.plan, placeOf(memory), job))
  }
  if (memory.plan?.candidates.length === 1 && memory.request?.schema === undefined) {
    memory.plan = undefined
    memory.request = undefined
  }
}

/** Waits for a job without a fiber: the run goes on when the job has ended. */
const waitForJob = (
  run: Run,
  shared: RunContext,
  memory: Memory,
  { job, surplus }: Extract<Decision.Step, { readonly _tag: "AwaitJob" }>
): Effect.Effect<typeof isParked, StrategyError> => {
  const { firstState: first, loaded } = memory
  memory.firstState = undefined
  // A hundred thousand jobs may wait: the journal is read again when this one has failed.
  memory.loaded = { state: emptyState, version: noVersion }
  memory.submissions = loaded.state.submissions.length
  return Effect.uninterruptible(Effect.map(prepareWait(run, shared, { job, surplus, first }), (waiting) => {
    park(shared, memory, waiting)
    return isParked
  }))
}

const park = (shared: RunContext, memory: Memory, waiting: WaitingJob): void => {
  const parked = shared.poller.add(waiting, new ParkedRun(shared, memory, waiting))
  waiting.run.park(parked)
  parked.start()
}

/** A class, because a hundred thousand may wait: closures would take more memory. */
class ParkedRun implements Waiter {
  private readonly shared: RunContext
  private readonly memory: Memory
  private readonly waiting: WaitingJob

  constructor(shared: RunContext, memory: Memory, waiting: WaitingJob) {
    this.shared = shared
    this.memory = memory
    this.waiting = waiting
  }

  done(exit: Exit.Exit<Outcome, StrategyError>): void {
    const { memory, shared, waiting } = this
    shared.work(waiting.run, afterWait(shared, memory, waiting, exit))
  }
}

/** Continues a run whose wait for a job is over. */
const afterWait = (
  shared: RunContext,
  memory: Memory,
  waiting: WaitingJob,
  exit: Exit.Exit<Outcome, StrategyError>
): Effect.Effect<RunResult | typeof isParked, StrategyError> => {
  const { job, run } = waiting
  if (Exit.isSuccess(exit)) {
    run.noteCalls(exit.value)
    memory.ended = { submission: job, outcome: judge(memory, exit.value) }
    return proceed(run, shared, memory)
  }
  const wait: Wait = {
    shared,
    waiting,
    leavesQueue: Decision.leavesQueue(memory.plan, placeOf(memory)),
    settle: (outcome) => settle(settling(run, shared, memory), job, outcome)
  }
  return Effect.map(afterFailure(wait, exit.cause), () => {
    park(shared, memory, waiting)
    return isParked
  })
}

/** Turns an answer that does not fit the request's schema into `InvalidOutput`. */
const judge = ({ request }: Memory, outcome: Outcome): Outcome =>
  request === undefined ? outcome : StructuredOutput.check(request, outcome)

/** Sends one submission, and remembers what became of it. */
const submit = Effect.fnUntraced(function*(
  run: Run,
  shared: RunContext,
  memory: Memory,
  { candidate, passed, position }: Extract<Decision.Step, { readonly _tag: "Submit" }>
): Effect.fn.Return<void, StrategyError> {
  const { invalid, loaded, plan } = memory
  const request = requestFor(memory, candidate)
  if (request === undefined) return yield* Effect.die(new Error("A run without a request cannot submit"))
  memory.position = position
  if (passed.length > 0) run.notePassedOver([...run.passedOver, ...passed])
  memory.lookups = noLookups
  const unusable = yield* Effect.result(findUnusable(shared, memory))
  if (unusable._tag === "Failure") return yield* run.failure(unusable.failure)
  const refusal = unusable.success.get(candidate.model)
  const prepared = yield* Effect.result(
    refusal === undefined
      ? prepare(shared.providers, shared.namespace, { request, ...candidate })
      : Effect.fail(refusal)
  )
  if (prepared._tag === "Failure") {
    memory.failure = { error: prepared.failure, isFinal: true }
    return
  }
  const means = prepared.success
  const { admit, ready, retryBudget } = means.provider
  memory.budget = retryBudget
  const until = (yield* Clock.currentTimeMillis) + run.deadlineAt - (yield* monotonicMillis)
  // All that may be slow comes before the intent is journaled: a crash after it leaves the submission uncertain.
  const admitted = yield* Effect.result(Effect.andThen(ready ?? Effect.void, admit?.(request, until) ?? Effect.void))
  if (admitted._tag === "Failure") {
    memory.failure = { error: admitted.failure, isFinal: false }
    return
  }
  const sent = yield* send(run, shared, loaded, {
    request,
    strategy: candidate.strategy,
    means,
    purpose: invalid === undefined ? "answer" : "repair",
    fallbackOn: Decision.fallbackReasons(plan, placeOf(memory)),
    isRepaired: request.schema !== undefined && Decision.wouldRepair(loaded.state, plan),
    isRepeatable: Decision.uncertaintyPolicy(plan, candidate.strategy) === "resubmit"
  })
  if (sent === undefined) return
  const { result, submission } = sent
  const announced = apply(loaded.state, submission.sent)
  switch (result._tag) {
    case "Refused":
      memory.failure = { error: result.error, isFinal: false }
      return
    case "Uncertain":
      shared.uncertain.lost.set(submission.id, result.error)
      memory.failure = { error: result.error, isFinal: false }
      // No later process could learn the answer of a held call, so it stays open only where it must not be repeated.
      if (means._tag === "Held" && Decision.uncertaintyPolicy(plan, candidate.strategy) === "resubmit") {
        yield* recordEndAtBest(run, { submission, reason: result.error.verdict.reason })
      }
      return
    case "Accepted":
      yield* retryBudget?.giveBack ?? Effect.void
      if (result.state !== undefined && Decision.isSurplus(result.state, result.job.id)) return
      memory.firstState = result.jobState
      decideOn(memory, result.state ?? apply(announced, result.job.accepted))
      return
    case "Answered":
      yield* retryBudget?.giveBack ?? Effect.void
      memory.ended = { submission, outcome: judge(memory, result.outcome) }
      memory.loaded = { ...loaded, state: announced }
  }
})

/** Checks the models of a request before the first submission of its session. */
const findUnusable = (shared: RunContext, memory: Memory): Effect.Effect<Unusable, ProviderError> => {
  const { loaded, plan, request, unusable } = memory
  if (unusable !== undefined) return Effect.succeed(unusable)
  if (plan === undefined || request === undefined || loaded.state.submissions.length > 0) {
    return Effect.succeed(noneUnusable)
  }
  return Effect.tap(unusableModels(shared, { plan, request }), (found) =>
    Effect.sync(() => {
      memory.unusable = found
    }))
}

/** The request that goes to a candidate: as the caller made it, or with the invalid answer and what is wrong with it. */
const requestFor = (
  { invalid, request }: Memory,
  { model }: Decision.Candidate
): ResponseRequest | undefined => {
  if (request === undefined) return undefined
  const asked = request.model === model ? request : { ...request, model }
  return invalid === undefined
    ? asked
    : StructuredOutput.repaired(asked, invalid.content, invalid.issues ?? invalid.message)
}

/** Decides the next step on a state that is known, without reading the journal, which may not be readable. */
const decideOn = (memory: Memory, state: SessionState): void => {
  memory.loaded = { state, version: memory.loaded.version }
  memory.isCurrent = true
}

/** Prepares for another submission, or another run's job, in place of one that has ended. */
const startAfresh = (
  run: Run,
  memory: Memory,
  change: Pick<Memory, "position" | "invalid">
): Effect.Effect<void> => {
  Object.assign(memory, { ...change, ended: undefined, failure: undefined, retries: { steps: undefined } })
  return run.closeStream
}

const settling = (run: Run, shared: RunContext, { loaded, submissions }: Memory): Settling => ({
  run,
  shared,
  passedOver: run.passedOver,
  submissions: Math.max(submissions, loaded.state.submissions.length)
})

/** Settles the session, or follows another process that has replaced the submission meanwhile. */
const settleOrFollow = (
  run: Run,
  shared: RunContext,
  memory: Memory,
  { outcome, submission }: Extract<Decision.Step, { readonly _tag: "Settle" }>
): Effect.Effect<RunResult | typeof isParked, StrategyError> =>
  Effect.flatMap(settle(settling(run, shared, memory), submission, outcome), (result) => {
    if (result !== undefined) return Effect.succeed(result)
    return Effect.flatMap(startAfresh(run, memory, memory), () => {
      if (outcome._tag === "Failed") memory.failure = Decision.lastResort(memory.plan, run, outcome.verdict)
      return proceed(run, shared, memory)
    })
  })

const stop = (
  run: Run,
  { failure, jobId }: Extract<Decision.Step, { readonly _tag: "Stop" }>
): StrategyError =>
  failure instanceof ProviderError
    ? run.failure(failure)
    : run.refused(failure, jobId)

/** Records a submission's end, before another submission takes its place. */
const recordEndFirst = (run: Run, { reason, submission }: Decision.EndToRecord): Effect.Effect<void, StrategyError> =>
  Effect.asVoid(
    Effect.mapError(recordEnd(run.spec.journal, submission.id, reason), (error) => run.unavailable(error))
  )

/** Records a submission's end, if the store can be written. */
const recordEndAtBest = (run: Run, { reason, submission }: Decision.EndToRecord): Effect.Effect<void> =>
  Effect.ignore(recordEnd(run.spec.journal, submission.id, reason), { log: "Warn" })
