/**
 * Does what an action says, and checks what its call comes to.
 */
import { Effect, Stream } from "effect"
import {
  type LlmResponse,
  type ResponseEvent,
  type ResponseRequest,
  Session,
  SessionStore,
  type StrategyError,
  WebhookSignature
} from "holdfast"
import type { Action } from "./Actions.ts"
import type { Call } from "./Facts.ts"
import { isOver } from "./SimulatedProvider.ts"
import { webhookSecret, type World } from "./World.ts"

export const perform = async (world: World, action: Action): Promise<void> => {
  const { provider, specification } = world
  if ("process" in action && action.do !== "start" && !world.isUp(action.process)) return
  switch (action.do) {
    case "execute":
    case "stream":
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
    case "webhook":
      return webhook(world, action)
    case "prune": {
      const { store } = world.process(action.process)
      const statuses = action.all ? Session.SessionStatus.literals : undefined
      await world.perform(
        action.process,
        SessionStore.prune({ olderThan: `${action.minutes} minutes`, ...(statuses === undefined ? {} : { statuses }) })
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
    case "streams":
      provider.streams = action.mode
      return
    case "cut":
      return provider.notify(action.cut)
    case "write": {
      const job = provider.jobs[action.job % Math.max(1, provider.jobs.length)]
      if (job === undefined || isOver(job)) return
      if (job.status === "queued") job.status = "running"
      job.written += action.pieces
      return provider.notify()
    }
    case "release":
      provider.held[0]?.decide(action.mode)
      return
    case "job": {
      const job = provider.jobs[action.job]
      if (job === undefined || isOver(job)) return
      job.status = action.to
      if (action.to === "cancelled") job.isCancelledOutside = true
      return provider.notify()
    }
    case "vanish": {
      const job = provider.jobs[action.job]
      if (job !== undefined) job.isGone = true
      return
    }
  }
}

export const execute = (world: World, action: Extract<Action, { readonly do: "execute" | "stream" }>): Call => {
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
  const { holdfast } = world.process(process)
  const asked = world.request(key, variant, request)
  return world.begin(
    process,
    {
      kind: action.do,
      key,
      variant,
      policy: onUncertainSubmit ?? "fail",
      onInterrupt: onInterrupt ?? "detach",
      deadline: (deadline ?? 3600) * 1000
    },
    action.do === "execute" ? holdfast.execute(asked) : watch(world, holdfast.stream(asked)),
    (answer, call) => world.specification.answered(call, answer)
  )
}

/** Watches an answer to its end. */
const watch = (
  { specification }: World,
  events: Stream.Stream<ResponseEvent.ResponseEvent, StrategyError.StrategyError>
): Effect.Effect<LlmResponse.LlmResponse, StrategyError.StrategyError> => {
  const number = specification.calls.length
  let answer: LlmResponse.LlmResponse | undefined
  return Stream.runForEach(events, (event) =>
    Effect.sync(() => {
      const call = specification.calls[number]
      if (call === undefined || call.life.isDead || call.isOver) return
      if (event._tag === "TextDelta") specification.heardPiece(call, event.delta, event.offset)
      if (event._tag !== "Completed") return
      specification.heardAnswer(call, event.response)
      answer = event.response
    })).pipe(
      Effect.andThen(
        Effect.suspend(() =>
          answer === undefined ? Effect.die("A stream succeeds with its answer") : Effect.succeed(answer)
        )
      )
    )
}

/** Sends a webhook, signed by a clock that is right. */
const webhook = (world: World, action: Extract<Action, { readonly do: "webhook" }>): void => {
  const { provider, specification } = world
  // To those who take webhooks, of what there is.
  const process = action.process % Math.max(1, world.setting.hooked)
  const { life, webhooks } = world.process(process)
  const { jobs } = provider
  const jobId = action.job === "unknown" ? "job-unknown" : jobs[action.job % Math.max(1, jobs.length)]?.id
  if (!world.isUp(process) || webhooks === undefined || jobId === undefined) return
  const isTooFar = Math.abs(Math.max(0, world.now() + life.wallOffset) - world.now()) > 300_000
  const wasKnown = specification.isKnown(jobId)
  const wasHandled = life.handled.has(jobId)
  const id = action.isRepeated ? jobId : `${jobId} ${specification.step}`
  const body = JSON.stringify({ type: "response.completed", data: { id: jobId } })
  const seconds = Math.floor(world.now() / 1000)
  world.begin(
    process,
    { kind: "webhook", key: "*" },
    webhooks.handle(body, {
      "webhook-id": id,
      "webhook-timestamp": `${seconds}`,
      "webhook-signature": WebhookSignature.sign(webhookSecret, id, seconds, body)
    }).pipe(
      Effect.catchTag("WebhookRejected", (error) => Effect.succeed({ _tag: "Rejected" as const, error }))
    ),
    (receipt, call) => {
      if (receipt._tag === "Rejected") {
        return specification.rule(isTooFar && receipt.error.reason === "timestamp", "a good webhook is not rejected")
      }
      specification.rule(!isTooFar, "a webhook that was signed long ago is rejected")
      if (receipt._tag === "Repeated") {
        return specification.rule(action.isRepeated && life.handled.has(jobId), "a webhook is heeded once")
      }
      specification.rule(!action.isRepeated || !wasHandled, "a repeated webhook does nothing")
      if (action.isRepeated) life.handled.add(jobId)
      specification.heeded(call, receipt, jobId, wasKnown && !specification.wasRemoved(jobId))
    },
    (error, call) => {
      const reason = error._tag === "Timeout" ? "Timeout" : error.reason._tag
      // The end could not be written, or its session was removed meanwhile.
      const isLost = specification.wasRemoved(jobId) || call.life.disturbedUntil > 0
      specification.event(`the webhook of ${jobId} fails with ${reason}`)
      specification.rule(
        webhookErrors.has(reason) || (isLost && ends.has(reason)) ||
          (reason === "SessionUnavailable" && specification.hadStoreFault),
        `a webhook is not to be sent again for ${reason}`
      )
    }
  )
}

const ends: ReadonlySet<string> = new Set(["JobFailed", "JobCancelled", "JobExpired", "Incomplete"])

/** What can keep a webhook from being heeded now. */
const webhookErrors: ReadonlySet<string> = new Set([
  "Timeout",
  "Network",
  "Overloaded",
  "InvalidResponse",
  "SessionNotFound",
  "RequestNeeded",
  "SubmissionUncertain"
])

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

const adopt = (
  world: World,
  process: number,
  key: string,
  which: Extract<Action, { readonly do: "adopt" }>["job"]
): void => {
  const { provider, specification } = world
  const open = specification.incarnation(key).submissions.findLast(({ stage }) => stage === "open")
  const right = provider.jobs.find(({ submissionId }) => submissionId === open?.id)
  const other = provider.jobs.find(({ submissionId }) => submissionId !== open?.id)
  if (which === "other" && other !== undefined) other.isMute = true
  const jobId = (which === "right" ? right : which === "unknown" ? undefined : other)?.id ?? "job-unknown"
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
      "InvalidResponse",
      "Conflict"
    )
  )
}

const forget = (world: World, process: number, key: string, force: boolean): void => {
  const { specification } = world
  const wasBusy = specification.isBusy(key)
  world.begin(
    process,
    { kind: "forget", key },
    world.process(process).holdfast.forget(key, { force }),
    () => {
      const removed = specification.incarnations().findLast((session) => session.key === key && session.isRemoved)
      specification.rule(
        force || removed?.wasBusyAtRemoval !== true,
        "a session whose job may be running is forgotten only by force"
      )
    },
    (error, call) => {
      if (error._tag === "Timeout" || error.reason._tag !== "Conflict") return expected(world, "SessionNotFound")(error)
      specification.rule(wasBusy || call.life.disturbedUntil > 0, "a session at rest can be forgotten")
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
