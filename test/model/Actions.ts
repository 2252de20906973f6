/**
 * What can happen to sessions, as data: so that a counterexample can be read, kept and run again.
 */
import { Effect, Stream } from "effect"
import * as fc from "fast-check"
import { type ResponseRequest, Session, SessionStore, type StrategyError } from "holdfast"
import {
  type CancelMode,
  cancelModes,
  isOver,
  type PollMode,
  pollModes,
  type SubmitMode,
  submitModes
} from "./SimulatedProvider.ts"
import { awaited, type Call, isWaiting, type Job, type Specification, type Variant } from "./Specification.ts"
import { keys, type Point, processes, World } from "./World.ts"

export type Action =
  | {
    readonly do: "execute"
    readonly process: number
    readonly key: string
    readonly variant: Variant
    /** Seconds. */
    readonly deadline?: number | undefined
    readonly onUncertainSubmit?: "fail" | "resubmit" | undefined
    readonly onInterrupt?: "cancel" | undefined
    readonly journal?: "ids-only" | undefined
    /** Seconds. */
    readonly submitTimeout?: number | undefined
  }
  | { readonly do: "resume"; readonly process: number; readonly key: string; readonly deadline: number }
  | { readonly do: "recover"; readonly process: number }
  | { readonly do: "interrupt"; readonly call: number }
  | { readonly do: "cancel"; readonly process: number; readonly key: string }
  | {
    readonly do: "adopt"
    readonly process: number
    readonly key: string
    readonly job: "right" | "other" | "unknown"
  }
  | { readonly do: "forget"; readonly process: number; readonly key: string; readonly force: boolean }
  | { readonly do: "prune"; readonly process: number; readonly minutes: number; readonly all: boolean }
  | { readonly do: "pass"; readonly seconds: number }
  | { readonly do: "crash" | "stop" | "start"; readonly process: number }
  | ({ readonly do: "meet"; readonly process: number } & Point)
  | { readonly do: "jump"; readonly process: number; readonly minutes: number }
  | { readonly do: "submits"; readonly mode: SubmitMode }
  | { readonly do: "polls"; readonly mode: PollMode }
  | { readonly do: "cancels"; readonly mode: CancelMode }
  | { readonly do: "release"; readonly mode: "accept" | "refuse" | "lose" }
  | { readonly do: "job"; readonly job: number; readonly to: Job["status"] }
  | { readonly do: "vanish"; readonly job: number }

/** One step of a run: an action, and the comparison after it. */
export class Step implements fc.AsyncCommand<Specification, World, boolean> {
  readonly action: Action

  constructor(action: Action) {
    this.action = action
  }

  check(): boolean {
    return true
  }

  async run(_: Specification, world: World): Promise<void> {
    world.specification.event(`> ${this.toString()}`)
    await perform(world, this.action)
    await world.settleSlowly()
    await compare(world)
  }

  toString(): string {
    return JSON.stringify(this.action)
  }
}

/** Actions, the common ones more often. */
export const arbitraryActions = (): Array<fc.Arbitrary<Step>> => {
  const process = fc.nat(processes - 1)
  const key = fc.constantFrom(...keys, keys[0], keys[0])
  const variant = fc.constantFrom<Variant>("A", "A", "A", "A", "B")
  const rarely = <A>(value: fc.Arbitrary<A>) => fc.option(value, { nil: undefined, freq: 3 })
  const execute = fc.record({
    do: fc.constant("execute" as const),
    process,
    key,
    variant,
    deadline: fc.constantFrom(undefined, undefined, 300, 30),
    onUncertainSubmit: fc.constantFrom(undefined, undefined, undefined, "fail" as const, "resubmit" as const),
    onInterrupt: rarely(fc.constant("cancel" as const)),
    journal: rarely(fc.constant("ids-only" as const)),
    submitTimeout: rarely(fc.constant(10))
  })
  const pass = fc.record({ do: fc.constant("pass" as const), seconds: fc.constantFrom(1, 3, 10, 70, 400, 2000) })
  const job = fc.record({
    do: fc.constant("job" as const),
    job: fc.nat(3),
    to: fc.constantFrom<Job["status"]>(
      "running",
      "completed",
      "completed",
      "completed",
      "failed",
      "failed",
      "broken",
      "incomplete",
      "cancelled",
      "odd"
    )
  })
  const meet = fc.record({
    do: fc.constant("meet" as const),
    process,
    at: fc.constantFrom(
      "append Prepared",
      "append Submitting",
      "append NotSubmitted",
      "append Accepted",
      "append Ended",
      "append CancelRequested",
      "append Settled",
      "load",
      "submit",
      "poll",
      "cancel",
      "find"
    ),
    when: fc.constantFrom("before" as const, "after" as const),
    effect: fc.constantFrom<Point["effect"]>("crash", "crash", "crash", "fail", 2, 90)
  })
  const rare = [
    fc.record({
      do: fc.constant("resume" as const),
      process,
      key,
      deadline: fc.constantFrom(30, 3600)
    }),
    fc.record({ do: fc.constant("recover" as const), process }),
    fc.record({ do: fc.constant("interrupt" as const), call: fc.nat(3) }),
    fc.record({ do: fc.constant("cancel" as const), process, key }),
    fc.record({
      do: fc.constant("adopt" as const),
      process,
      key,
      job: fc.constantFrom("right" as const, "right" as const, "other" as const, "unknown" as const)
    }),
    fc.record({ do: fc.constant("forget" as const), process, key, force: fc.boolean() }),
    fc.record({
      do: fc.constant("prune" as const),
      process,
      minutes: fc.constantFrom(0, 5),
      all: fc.boolean()
    }),
    fc.record({ do: fc.constant("jump" as const), process, minutes: fc.constantFrom(-60, -1, 1, 60) }),
    fc.record({ do: fc.constant("vanish" as const), job: fc.nat(3) })
  ]
  // A process that is slow where it counts: others come before it.
  const late = fc.record({
    do: fc.constant("meet" as const),
    process,
    at: fc.constantFrom("append Submitting", "append Accepted", "append Settled"),
    when: fc.constantFrom("before" as const, "after" as const),
    effect: fc.constantFrom<Point["effect"]>(2, 20, 90)
  })
  const steps: Array<fc.Arbitrary<Action>> = [
    late,
    fc.constant<Action>({ do: "pass", seconds: 20 }),
    execute,
    execute,
    execute,
    pass,
    pass,
    pass,
    job,
    job,
    meet,
    meet,
    fc.record({ do: fc.constantFrom("crash" as const, "crash" as const, "stop" as const), process }),
    fc.record({ do: fc.constant("start" as const), process }),
    fc.record({ do: fc.constant("submits" as const), mode: fc.constantFrom(...submitModes) }),
    fc.record({ do: fc.constant("submits" as const), mode: fc.constantFrom(...submitModes) }),
    fc.record({ do: fc.constant("polls" as const), mode: fc.constantFrom("fine" as const, ...pollModes) }),
    fc.record({ do: fc.constant("cancels" as const), mode: fc.constantFrom(...cancelModes) }),
    fc.record({
      do: fc.constant("release" as const),
      mode: fc.constantFrom("accept" as const, "refuse" as const, "lose" as const)
    }),
    ...rare
  ]
  return steps.map((step) => step.map((action) => new Step(action)))
}

const perform = async (world: World, action: Action): Promise<void> => {
  const { provider, specification } = world
  if ("process" in action && action.do !== "start" && !world.isUp(action.process)) return
  switch (action.do) {
    case "execute":
      return void execute(world, action)
    case "resume":
      return void resume(world, action.process, action.key, action.deadline)
    case "recover":
      return void recover(world, action.process)
    case "interrupt": {
      const waiting = world.waiting()
      const call = waiting[action.call % Math.max(1, waiting.length)]
      return call === undefined ? undefined : world.interrupt(call)
    }
    case "cancel": {
      const { holdfast } = world.process(action.process)
      specification.incarnation(action.key).isCancelWanted = true
      world.begin(
        action.process,
        { kind: "cancel", key: action.key },
        holdfast.cancel(action.key),
        () => {},
        expected(world, "SessionNotFound")
      )
      return
    }
    case "adopt":
      return void adopt(world, action.process, action.key, action.job)
    case "forget":
      return void forget(world, action.process, action.key, action.force)
    case "prune": {
      const { store } = world.process(action.process)
      const states = action.all ? Session.SessionStatus.literals : undefined
      await world.perform(
        action.process,
        SessionStore.prune({ olderThan: `${action.minutes} minutes`, ...(states === undefined ? {} : { states }) })
          .pipe(
            Effect.provideService(SessionStore.SessionStore, store)
          )
      )
      return
    }
    case "pass":
      return world.pass(action.seconds)
    case "crash":
      return world.crash(action.process)
    case "stop":
      return world.stop(action.process)
    case "start":
      if (!world.isUp(action.process)) {
        world.crash(action.process)
        await world.start(action.process)
      }
      return
    case "meet":
      world.process(action.process).points.push(action)
      return
    case "jump":
      world.process(action.process).life.wallOffset += action.minutes * 60_000
      return
    case "submits":
      provider.submits.push(action.mode)
      return
    case "polls":
      provider.polls = action.mode
      return
    case "cancels":
      provider.cancels = action.mode
      return
    case "release":
      provider.held[0]?.decide(action.mode)
      return
    case "job": {
      const job = provider.jobs[action.job]
      if (job === undefined || isOver(job)) return
      job.status = action.to
      if (action.to === "cancelled") job.isCancelledOutside = true
      return
    }
    case "vanish": {
      const job = provider.jobs[action.job]
      if (job !== undefined) job.isGone = true
      return
    }
  }
}

const execute = (world: World, action: Extract<Action, { readonly do: "execute" }>): Call => {
  const { deadline, journal, key, onInterrupt, process, variant } = action
  const { isBold } = world.setting
  const onUncertainSubmit = action.onUncertainSubmit ?? (isBold ? "resubmit" : undefined)
  const submitTimeout = action.submitTimeout ?? (isBold ? 10 : undefined)
  const seconds = (value: number | undefined) => value === undefined ? undefined : `${value} seconds` as const
  const request: Partial<ResponseRequest.RequestInput> = {
    deadline: seconds(deadline),
    journal,
    onInterrupt,
    onUncertainSubmit,
    submitTimeout: seconds(submitTimeout)
  }
  return world.begin(
    process,
    {
      kind: "execute",
      key,
      variant,
      policy: onUncertainSubmit ?? "fail",
      onInterrupt: onInterrupt ?? "detach",
      deadline: (deadline ?? 3600) * 1000
    },
    world.process(process).holdfast.execute(world.request(key, variant, request)),
    (answer, call) => world.specification.answered(call, answer)
  )
}

const resume = (world: World, process: number, key: string, deadline: number): Call =>
  world.begin(
    process,
    { kind: "resume", key, deadline: deadline * 1000 },
    world.process(process).holdfast.resume(key, { deadline: `${deadline} seconds` }),
    (answer, call) => world.specification.answered(call, answer)
  )

const recover = (world: World, process: number): Call => {
  const { specification } = world
  const { life } = world.process(process)
  const number = specification.calls.length
  return world.begin(
    process,
    { kind: "recover", key: "*", deadline: 3600_000 },
    world.process(process).holdfast.recover().pipe(
      Stream.runForEach(({ result, session }) =>
        Effect.sync(() => {
          const call = specification.calls[number]
          if (call === undefined || life.isDead) return
          if (result._tag === "Success") specification.answered({ ...call, key: session }, result.success)
          else specification.failed({ ...call, key: session }, result.failure)
        })
      )
    ),
    () => {},
    expected(world)
  )
}

const adopt = (world: World, process: number, key: string, which: "right" | "other" | "unknown"): void => {
  const { provider, specification } = world
  const open = specification.incarnation(key).submissions.findLast(({ stage }) => stage === "open")
  const right = provider.jobs.find(({ submissionId }) => submissionId === open?.id)
  const other = provider.jobs.find(({ submissionId }) => submissionId !== open?.id)
  const jobId = (which === "right" ? right : which === "other" ? other : undefined)?.id ?? "job-unknown"
  world.begin(
    process,
    { kind: "adopt", key, adopts: jobId },
    world.process(process).holdfast.adopt(key, jobId),
    () => {},
    expected(
      world,
      "SessionNotFound",
      "InvalidRequest",
      "NotFound",
      "Network",
      "PermissionDenied",
      "Overloaded",
      "Conflict"
    )
  )
}

const forget = (world: World, process: number, key: string, force: boolean): void => {
  const { specification } = world
  const isBusy = (status: Session.SessionStatus | undefined) => status === "running" || status === "submitting"
  const before = specification.status(key)
  world.begin(
    process,
    { kind: "forget", key },
    world.process(process).holdfast.forget(key, { force }),
    () => {
      const removed = specification.incarnations().findLast((session) => session.key === key && session.isRemoved)
      specification.rule(
        force || !isBusy(removed?.statusAtRemoval),
        "a session whose job may be running is forgotten only by force"
      )
    },
    (error, call) => {
      if (error._tag === "Timeout" || error.reason._tag !== "Conflict") return expected(world, "SessionNotFound")(error)
      specification.rule(isBusy(before) || call.life.disturbedUntil > 0, "a session at rest can be forgotten")
    }
  )
}

const expected = (world: World, ...reasons: ReadonlyArray<string>) => (error: StrategyError.StrategyError): void => {
  const reason = error._tag === "Timeout" ? "Timeout" : error.reason._tag
  const { specification } = world
  specification.event(`fails ${error._tag} ${reason}`)
  specification.rule(
    reasons.includes(reason) || (reason === "SessionUnavailable" && specification.hadStoreFault),
    `an error is one of ${reasons.join(", ")}, not ${reason}`
  )
}

/** Compares every session with the specification, and fails when a rule was broken. */
export const compare = async (world: World): Promise<void> => {
  const { specification } = world
  for (const key of keys) {
    const journal = await world.journal(key)
    const state = Session.fold(journal.entries)
    const status = Session.statusOf(state)
    specification.rule(
      status === specification.status(key),
      `the journal of ${key} adds up to ${specification.status(key)}, not ${status}`
    )
    const up = world.running.findIndex((_, index) => world.isUp(index))
    if (up < 0 || world.process(up).points.length > 0 || world.process(up).life.disturbedUntil > world.now()) continue
    const exit = await world.perform(up, world.process(up).holdfast.inspect(key))
    if (exit === undefined || exit._tag === "Failure") {
      specification.rule(!specification.exists(key), `${key} can be inspected`)
      continue
    }
    const info = exit.value
    specification.rule(info.state === specification.status(key), `inspect says that ${key} is ${info.state}`)
    const seen = info.submissions.map(({ cancelRequested, jobId, state, submissionId }) =>
      `${submissionId} ${state} ${jobId ?? ""}${cancelRequested ? " cancel" : ""}`
    )
    specification.rule(
      seen.join() === specification.submissionStates(key).join(),
      `inspect lists ${seen.join()}, not ${specification.submissionStates(key).join()}`
    )
  }
  report(world)
}

/** Takes all that is left to its end, as time and a healthy provider do. */
export const finish = async (world: World): Promise<void> => {
  const { provider, specification } = world
  specification.event("> finish")
  for (const process of world.running) if (process !== undefined) process.life.wallOffset = 0
  provider.submits.length = 0
  provider.polls = "fine"
  provider.cancels = "fine"
  for (const process of world.running) if (process !== undefined) process.points.length = 0
  while (provider.held.length > 0) provider.held[0]?.decide("accept")
  await world.settle()
  for (let index = 0; index < processes; index++) {
    if (!world.isUp(index)) await perform(world, { do: "start", process: index })
  }
  for (let round = 0; round < 7; round++) {
    // What is owed by processes that were disturbed is due by now, and may be the first that is known of a session.
    if (round > 0 && !keys.some((key) => needsMore(world, key))) await world.pass(150)
    if (round > 0 && !keys.some((key) => needsMore(world, key))) break
    for (const key of keys) {
      const { variant } = specification.incarnation(key)
      if (variant !== undefined) {
        execute(world, { do: "execute", process: round % processes, key, variant, onUncertainSubmit: "resubmit" })
      }
    }
    await world.pass(5)
    for (const key of keys) {
      const session = specification.incarnation(key)
      const job = specification.jobs.get(awaited(session)?.job ?? "")
      if (job !== undefined && !isOver(job)) job.status = "completed"
    }
    await world.pass(3600, () => !world.waiting().some(isWaiting))
    // A job that is gone has expired only when every clock says so.
    if (provider.jobs.some(({ isGone }) => isGone) && round === 1) await world.pass(5500)
    await compare(world)
  }
  // What is owed by processes that were disturbed is due by now.
  await world.pass(150)
  for (const key of keys) {
    specification.rule(!needsMore(world, key), `${key} can be taken to its end`)
    const session = specification.incarnation(key)
    for (const submission of session.acceptances) {
      const job = specification.jobs.get(submission.job ?? "")
      specification.rule(
        job === undefined || job.isEndTold || job.isMissingTold || job.isCancelTold,
        `${job?.id} is polled to its end, or cancelled`
      )
    }
    if (session.settled === undefined || session.settled.isReference || session.variant === undefined) continue
    // From now on every process gives the same end, and asks nobody.
    const before = provider.requests
    for (let index = 0; index < processes; index++) {
      execute(world, { do: "execute", process: index, key, variant: session.variant })
      await world.settle()
    }
    specification.rule(!world.waiting().some(isWaiting), "a settled session answers at once")
    specification.rule(provider.requests === before, "a settled session is answered without a request")
  }
  report(world)
}

const needsMore = ({ specification }: World, key: string): boolean =>
  specification.exists(key) && specification.incarnation(key).settled === undefined

const report = ({ specification }: World): void => {
  if (specification.violations.length === 0) return
  throw new Error(`${specification.violations.slice(0, 5).join("\n")}\n\n${specification.log.join("\n")}`)
}
