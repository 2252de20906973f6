/**
 * Sends webhooks when background jobs end, as OpenAI and Gemini do.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as WebhookSignature from "../../services/WebhookSignature.ts"
import * as Interactions from "./Interactions.ts"
import * as Progress from "./Progress.ts"
import * as Responses from "./Responses.ts"
import type { Action, WebhookAction } from "./Script.ts"
import type { Job, World } from "./World.ts"

/** Deliveries of one webhook, until one is answered with 2xx. */
const maxAttempts = 5

/** Before the second delivery, in milliseconds; doubled for each further one. */
const retryMillis = 100

/**
 * Sends the webhook of a job when it ends, if the simulator has somewhere to
 * send it.
 *
 * **Details**
 *
 * The end is that of time, of a cancel or of a command; an end that only a
 * poll brings about is told by nobody.
 *
 * @category combinators
 * @since 0.1.0
 */
export const follow = (world: World, job: Job, actions: ReadonlyArray<Action>): void => {
  const action = actions.find((action) => action._tag === "Webhook")
  if (world.settings.webhooks === undefined || !job.record.background || action?.how === "never") return
  if (job._tag !== "Response" && job._tag !== "Interaction") return
  const { endsAt, watchers } = job.progress
  if (action?.how === "early") {
    // To ask for the status at its end would end the job.
    send(world, job, job._tag === "Interaction" ? "interaction.completed" : "response.completed", action)
    return
  }
  const look = (): void => {
    const now = world.now()
    const phase = Progress.phase(job.progress, now)
    if ((phase !== "ended" && phase !== "cancelled") || !watchers.delete(look)) return
    const type = typeOf(job, now)
    if (type === undefined) return
    world.later(action?.how === "late" ? action.millis ?? 1000 : 0, () => send(world, job, type, action))
  }
  watchers.add(look)
  if (job.progress.stuck === undefined && job.progress.polls === undefined) {
    // A timer may fire a little early.
    world.later(endsAt - world.now() + 1, look)
  }
}

/** The event of a job that is over at `now`; `undefined` when the provider has none for it. */
const typeOf = (job: Job, now: number): string | undefined => {
  switch (job._tag) {
    case "Response": {
      const status = Responses.statusAt(job, now)
      return ["completed", "failed", "incomplete", "cancelled"].includes(status) ? `response.${status}` : undefined
    }
    case "Interaction": {
      const status = Interactions.statusAt(job, now)
      return ["completed", "failed", "requires_action"].includes(status) ? `interaction.${status}` : undefined
    }
    default:
      return undefined
  }
}

const send = (world: World, job: Job, type: string, action: WebhookAction | undefined): void => {
  const id = world.random.id("wh_", 32)
  const now = world.now()
  const body = JSON.stringify(
    job._tag === "Interaction"
      ? { type, version: "v1", timestamp: new Date(now).toISOString(), data: { id: job.id } }
      : {
        id: world.random.id("evt_", 32),
        object: "event",
        created_at: Math.floor(now / 1000),
        type,
        data: { id: job.id }
      }
  )
  deliver(world, { id, jobId: job.id, type, body, action }, 1)
  if (action?.how === "twice") deliver(world, { id, jobId: job.id, type, body, action }, 1)
}

interface Message {
  readonly id: string
  readonly jobId: string
  readonly type: string
  readonly body: string
  readonly action: WebhookAction | undefined
}

const deliver = (world: World, message: Message, attempt: number): void => {
  const { webhooks } = world.settings
  // Nobody knows the job any more after a reset.
  if (webhooks === undefined || !world.jobs.has(message.jobId)) return
  const { action, body, id, jobId, type } = message
  const now = world.now()
  const timestamp = Math.floor(now / 1000) - (action?.how === "stale" ? 600 : 0)
  const secret = action?.how === "forged" ? Redacted.make("whsec_Zm9yZ2Vk") : webhooks.secret
  const delivery = world.recorder.delivery({ id, jobId, type, attempt, at: now })
  void fetch(webhooks.url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": `${timestamp}`,
      "webhook-signature": WebhookSignature.sign(secret, id, timestamp, body)
    },
    body
  }).then(async (response) => {
    await response.arrayBuffer()
    delivery.status = response.status
    return response.ok
  }, () => false).then((isTaken) => {
    if (isTaken || attempt >= maxAttempts) return
    world.later(retryMillis * 2 ** (attempt - 1), () => deliver(world, message, attempt + 1))
  })
}
