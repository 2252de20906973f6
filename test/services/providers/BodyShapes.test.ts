import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import type { ProviderError } from "../../../src/errors/ProviderError.ts"
import type { JobState, Outcome, StreamEvent } from "../../../src/services/Provider.ts"
import * as Anthropic from "../../../src/services/providers/Anthropic.ts"
import * as GeminiInteractions from "../../../src/services/providers/GeminiInteractions.ts"
import * as OpenAi from "../../../src/services/providers/OpenAi.ts"
import * as Transport from "../../../src/services/providers/Transport.ts"
import { ResponseRequest } from "../../../src/services/ResponseRequest.ts"
import { type Body, type Ending, endings, type Forms, serve, shapes } from "./BodyShapes.ts"
import { collect, outcomeOf, textOf } from "./StreamReading.ts"

describe("A response body", () => {
  for (const [name, operation] of Object.entries(operations())) {
    it.live.each(endings)(`is read by what it contains, in any shape: ${name}, %s`, (ending) =>
      Effect.gen(function*() {
        const { forms, right } = operation
        const fitting = Object.entries(shapes).filter(([shape]) => forms.events.length > 1 || !shape.includes("array"))
        const results = yield* Effect.forEach(fitting, ([shape, shapeOf]) =>
          Effect.map(play(operation, shapeOf(forms), ending), (result) => [shape, result]), { concurrency: 8 })

        assert.deepStrictEqual(results, fitting.map(([shape]) => [shape, right]))
      }))

    it.live(`that is cut holds no answer, in any shape: ${name}`, () =>
      Effect.gen(function*() {
        const { forms } = operation
        const plain = JSON.stringify(forms.plain).slice(0, -5)
        const bodies = [{ type: "application/json", text: plain }, {
          type: "text/event-stream",
          text: `data: ${plain}`
        }]
        for (const shape of ["named events", "events without names", "lines of JSON"]) {
          const body = shapes[shape]?.({ ...forms, events: forms.cut ?? [] })
          if (body !== undefined && forms.cut !== undefined) bodies.push(body)
        }
        for (const body of bodies) {
          for (const ending of ["end", "reset"] as const) {
            const result = yield* play(operation, body, ending)

            assert.match(result, /^(?:failed|cut|(?:\w+_1 )?Pending)/, `${body.text} ${ending}`)
          }
        }
      }))
  }
})

/** What is asked of a provider, the answer in both forms, and what it comes to. */
interface Operation {
  readonly forms: Forms & {
    /** The events without those that end the answer. */
    readonly cut?: ReadonlyArray<object>
  }
  readonly right: string
  readonly run: (api: Api) => Effect.Effect<string, ProviderError>
  /** The answer to other requests than the one that the operation is about. */
  readonly before?: { readonly path: RegExp; readonly body: object }
}

type Api = Effect.Success<ReturnType<typeof apiAt>>

const play = ({ before, run }: Operation, body: Body, ending: Ending) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* serve
    server.replyTo = (path) =>
      before !== undefined && before.path.test(path)
        ? { body: { type: "application/json", text: JSON.stringify(before.body) }, ending: "end" }
        : { body, ending }
    const api = yield* apiAt(server.url)
    return yield* Effect.catch(run(api), ({ verdict }) => Effect.succeed(`failed: ${verdict.reason.message}`))
  }))

const apiAt = Effect.fnUntraced(function*(url: string) {
  const transport = yield* Transport.make()
  const options = { ...transport, name: "openai", baseUrl: `${url}/v1`, responsesApi: true, background: true }
  const openAi = (yield* OpenAi.make(options))("m")
  const anthropic = (yield* Anthropic.make({ ...transport, name: "anthropic", baseUrl: url, background: true }))("m")
  const { jobs: interactions } = GeminiInteractions.make({ ...transport, name: "gemini", baseUrl: url })("m")
  const { jobs, responses } = openAi
  const { jobs: batches } = anthropic
  if (jobs === undefined || responses === undefined || batches === undefined) return yield* Effect.die("no ports")
  return { jobs, responses, chat: openAi.completions, messages: anthropic.completions, batches, interactions }
})

const request = Schema.decodeSync(ResponseRequest)({ model: "a/m", prompt: "Hi", maxOutputTokens: 100 })

const submission = { submissionId: "submission-1" }

function operations(): Readonly<Record<string, Operation>> {
  const held = { right: "Hello, 7 tokens" }
  const job = { forms: responses({ background: true }), right: "Ended Hello, 7 tokens" }
  const batch = { plain: batchOf("in_progress"), events: [batchOf("in_progress")] }
  const result = { custom_id: "submission-1", result: { type: "succeeded", message: messages.plain } }
  return {
    "a Responses call": { forms: responses(), ...held, run: ({ responses }) => brief(responses.create(request)) },
    "a Responses stream": {
      forms: responses(),
      ...held,
      run: ({ responses }) => streamed(responses.stream?.(request))
    },
    "a Chat call": { forms: chat, ...held, run: (api) => brief(api.chat.complete(request)) },
    "a Chat stream": { forms: chat, ...held, run: (api) => streamed(api.chat.stream?.(request)) },
    "a Messages call": { forms: messages, ...held, run: (api) => brief(api.messages.complete(request)) },
    "a Messages stream": { forms: messages, ...held, run: (api) => streamed(api.messages.stream?.(request)) },
    "a job's submission": {
      ...job,
      right: `resp_1 ${job.right}`,
      run: ({ jobs }) => submitted(jobs.submit(request, submission))
    },
    "a job's streamed submission": {
      ...job,
      ...held,
      run: ({ jobs }) => streamed(jobs.submitStream?.(request, submission))
    },
    "a job's poll": { ...job, run: ({ jobs }) => briefState(jobs.retrieve("resp_1")) },
    "a job's stream": { ...job, ...held, run: ({ jobs }) => streamed(jobs.stream?.("resp_1", undefined)) },
    "a job's cancel": { ...job, run: ({ jobs }) => briefState(jobs.cancel("resp_1")) },
    "a look at a job's submission": {
      // The first event of a job that is cut says it already.
      forms: { ...responses({ background: true, metadata: { holdfast_submission: "submission-1" } }), cut: [] },
      right: "submission-1",
      run: ({ jobs }) => Effect.map(jobs.submissionOf?.("resp_1") ?? Effect.undefined, (id) => id ?? "failed")
    },
    "an interaction's submission": {
      forms: interaction,
      right: `int_1 ${job.right}`,
      run: ({ interactions }) => submitted(interactions.submit(request, submission))
    },
    "an interaction's poll": {
      forms: interaction,
      right: job.right,
      run: ({ interactions }) => briefState(interactions.retrieve("int_1"))
    },
    "an interaction's cancel": {
      forms: interaction,
      right: job.right,
      run: ({ interactions }) => briefState(interactions.cancel("int_1"))
    },
    "a batch's submission": {
      forms: batch,
      right: "batch_1 Pending in_progress",
      run: ({ batches }) => submitted(batches.submit(request, submission))
    },
    "a batch's poll": {
      forms: batch,
      right: "Pending in_progress",
      run: ({ batches }) => briefState(batches.retrieve("batch_1"))
    },
    "a batch's cancel": {
      forms: batch,
      right: "Pending in_progress",
      run: ({ batches }) => briefState(batches.cancel("batch_1"))
    },
    "a batch's results": {
      forms: { plain: result, events: [result] },
      right: job.right,
      before: { path: /batch_1$/, body: batchOf("ended") },
      run: ({ batches }) => briefState(batches.retrieve("batch_1", "submission-1"))
    }
  }
}

const usage = { input_tokens: 5, output_tokens: 2, total_tokens: 7 }

const responses = (more: object = {}): Operation["forms"] => {
  const response = (change: object) => ({
    id: "resp_1",
    object: "response",
    model: "m",
    output: [],
    ...more,
    ...change
  })
  const content = [{ type: "output_text", text: "Hello", annotations: [] }]
  const output = [{ id: "msg_1", type: "message", status: "completed", role: "assistant", content }]
  const plain = response({ status: "completed", output, usage })
  const place = { item_id: "msg_1", output_index: 0, content_index: 0 }
  const cut = [
    { type: "response.created", sequence_number: 0, response: response({ status: "in_progress" }) },
    { type: "response.output_text.delta", sequence_number: 1, ...place, delta: "Hel" },
    { type: "response.output_text.delta", sequence_number: 2, ...place, delta: "lo" }
  ]
  return { plain, cut, events: [...cut, { type: "response.completed", sequence_number: 3, response: plain }] }
}

const chat: Operation["forms"] = (() => {
  const counted = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
  const chunk = (delta: object, finish_reason: string | null = null) => ({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason }]
  })
  const choice = { index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }
  const cut = [chunk({ role: "assistant", content: "Hel" }), chunk({ content: "lo" })]
  return {
    plain: { id: "chatcmpl-1", object: "chat.completion", choices: [choice], usage: counted },
    cut,
    events: [...cut, { ...chunk({}, "stop"), usage: counted }]
  }
})()

const messages: Operation["forms"] = (() => {
  const message = { id: "msg_1", type: "message", role: "assistant", model: "m" }
  const cut = [
    {
      type: "message_start",
      message: { ...message, content: [], stop_reason: null, usage: { input_tokens: 5, output_tokens: 1 } }
    },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hel" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "lo" } },
    { type: "content_block_stop", index: 0 }
  ]
  return {
    plain: {
      ...message,
      content: [{ type: "text", text: "Hello" }],
      stop_reason: "end_turn",
      usage: { input_tokens: 5, output_tokens: 2 }
    },
    cut,
    events: [
      ...cut,
      { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } },
      { type: "message_stop" }
    ]
  }
})()

const interaction: Operation["forms"] = (() => {
  const whole = {
    id: "int_1",
    object: "interaction",
    model: "m",
    status: "completed",
    usage: { total_input_tokens: 5, total_output_tokens: 2, total_tokens: 7 }
  }
  const step = { type: "model_output", content: [{ type: "text", text: "Hello" }] }
  const cut = [
    { event_type: "interaction.created", interaction: { id: "int_1", status: "in_progress", object: "interaction" } },
    { event_type: "step.start", index: 0, step: { type: "thought" } },
    { event_type: "step.delta", index: 0, delta: { type: "thought_signature", signature: "x" } },
    { event_type: "step.stop", index: 0 },
    { event_type: "step.start", index: 1, step: { type: "model_output", content: [{ type: "text", text: "H" }] } },
    { event_type: "step.delta", index: 1, delta: { type: "text", text: "el" } },
    { event_type: "step.delta", index: 1, delta: { type: "text", text: "lo" } },
    { event_type: "step.stop", index: 1 }
  ]
  return {
    plain: { ...whole, steps: [step] },
    cut,
    events: [...cut, { event_type: "interaction.completed", interaction: whole }]
  }
})()

const batchOf = (status: string) => ({
  id: "batch_1",
  type: "message_batch",
  processing_status: status,
  created_at: "2026-11-01T00:00:00Z",
  request_counts: { processing: 1, succeeded: 0 },
  results_url: null
})

const briefOutcome = (outcome: Outcome): string =>
  outcome._tag === "Succeeded"
    ? `${outcome.answer.content}, ${outcome.answer.usage?.totalTokens} tokens`
    : `failed: ${outcome.verdict.reason.message}`

const stateInShort = (state: JobState): string =>
  state._tag === "Ended" ? `Ended ${briefOutcome(state.outcome)}` : `${state._tag} ${state.status}`

const brief = (call: Effect.Effect<Outcome, ProviderError>) => Effect.map(call, briefOutcome)

const briefState = (poll: Effect.Effect<JobState, ProviderError>) => Effect.map(poll, stateInShort)

const submitted = (
  submit: Effect.Effect<{ readonly jobId: string; readonly state: JobState }, ProviderError>
) => Effect.map(submit, ({ jobId, state }) => `${jobId} ${stateInShort(state)}`)

const streamed = (stream: Stream.Stream<StreamEvent, ProviderError> | undefined) =>
  Effect.map(collect(stream ?? Stream.empty), ({ error, events }) => {
    const outcome = outcomeOf(events)
    if (error !== undefined) return `failed: ${error.verdict.reason.message}`
    if (outcome === undefined) return "cut"
    return textOf(events) === "Hello" ? briefOutcome(outcome) : `streamed ${textOf(events)}`
  })
