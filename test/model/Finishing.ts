/**
 * Compares a world with its specification, and takes what is left in it to its end.
 */
import { Session } from "holdfast"
import { awaited, isWaiting } from "./Facts.ts"
import { execute, perform } from "./Performing.ts"
import { isOver } from "./SimulatedProvider.ts"
import { keys, processes, type World } from "./World.ts"

/** Compares every session with the specification, and fails when a rule was broken. */
export const compare = async (world: World): Promise<void> => {
  const { specification } = world
  for (const key of keys) {
    const journal = await world.journal(key)
    const state = Session.fold(journal.entries)
    const expected = specification.status(key, world.now())
    const status = Session.statusOf(state, world.now())
    specification.rule(status === expected, `the journal of ${key} adds up to ${expected}, not ${status}`)
    const up = world.running.findIndex((_, index) => world.isUp(index))
    if (up < 0 || world.process(up).points.length > 0 || world.process(up).life.disturbedUntil > world.now()) continue
    const exit = await world.perform(up, world.process(up).holdfast.inspect(key))
    if (exit === undefined || exit._tag === "Failure") {
      specification.rule(!specification.exists(key), `${key} can be inspected`)
      continue
    }
    const info = exit.value
    const seenAs = specification.status(key, Math.max(0, world.now() + world.process(up).life.wallOffset))
    specification.rule(info.status === seenAs, `inspect says that ${key} is ${info.status}, not ${seenAs}`)
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
  provider.streams = "fine"
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
      if (variant === undefined) continue
      const asked = { process: round % processes, key, variant, onUncertainSubmit: "resubmit" } as const
      execute(world, { do: "execute", ...asked })
      if (round % 2 === 0) execute(world, { do: "stream", ...asked })
    }
    await world.pass(5)
    for (const key of keys) {
      const session = specification.incarnation(key)
      const job = specification.jobs.get(awaited(session)?.job ?? "")
      if (job !== undefined && !isOver(job)) job.status = "completed"
    }
    provider.notify()
    await world.settle()
    await world.pass(3600, () => !world.waiting().some(isWaiting))
    // A job that is gone has expired only when every clock says so.
    if (provider.jobs.some(({ isGone }) => isGone) && round === 1) await world.pass(5500)
    await compare(world)
  }
  // What is owed by processes that were disturbed is due by now.
  await world.pass(150)
  // A cancel that did not get through is tried again by the next run.
  for (const key of keys) {
    const { settled, variant } = specification.incarnation(key)
    if (settled !== undefined && variant !== undefined) execute(world, { do: "execute", process: 0, key, variant })
  }
  await world.settle()
  await world.pass(150, () => !world.waiting().some(isWaiting))
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
      execute(world, { do: index === 0 ? "stream" : "execute", process: index, key, variant: session.variant })
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
