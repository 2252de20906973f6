import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Fiber, Layer, Option, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  Cost,
  Holdfast,
  LlmResponse,
  PriceCatalog,
  Reason,
  type Session,
  Sessions,
  SessionStore,
  StrategyError,
  Usage
} from "holdfast"
import { ScriptedProvider } from "holdfast/testing"

// The prices in the comments are in US dollars per million tokens, from the providers' price lists of 2026-11.
describe("Cost", () => {
  describe("of", () => {
    it.effect("prices the tokens of an answer", () =>
      Effect.gen(function*() {
        // gpt-5: input 1.25, cache read 0.125, output 10. 20k * 1.25 + 80k * 0.125 + 10k * 10
        const price = yield* known(answer({}))

        assert.strictEqual(price.usd, 0.135)
        assert.strictEqual(price.matchedModel, "gpt-5")
        assert.strictEqual(price.matchedBy, "exact")
      }))

    it.effect.each<readonly [title: string, parts: Parts, usd: number]>([
      ["OpenAI's flex", { usage: served({ serviceTier: "flex" }) }, 0.0675],
      // Priority: gpt-5 2.5 / 0.25 / 20. 20k * 2.5 + 80k * 0.25 + 10k * 20
      ["OpenAI's priority", { usage: served({ serviceTier: "priority" }) }, 0.27],
      // gpt-5-mini 0.45 / 0.045 / 3.6. 20k * 0.45 + 80k * 0.045 + 10k * 3.6
      [
        "the priority of another model",
        { model: "gpt-5-mini-2025-08-07", usage: served({ serviceTier: "priority" }) },
        0.0486
      ],
      // o4-mini 2 / 0.5 / 8. 20k * 2 + 80k * 0.5 + 10k * 8
      [
        "a priority whose factor is no round number",
        { model: "o4-mini", usage: served({ serviceTier: "priority" }) },
        0.16
      ],
      ["a background job of OpenAI, which is no batch", { strategy: "background" }, 0.135],
      // claude-opus-5-5: input 4, cache read 0.2, output 20. 20k * 4 + 80k * 0.2 + 10k * 20
      ["Anthropic's standard tier", opus, 0.296],
      ["a background job of Anthropic, which is a batch", { ...opus, strategy: "background", response: {} }, 0.148],
      ["Anthropic's batch tier", { ...opus, usage: served({ serviceTier: "batch" }) }, 0.148],
      [
        "a batch with both marks, once",
        { ...opus, strategy: "background", usage: served({ serviceTier: "batch" }) },
        0.148
      ],
      [
        "US-only inference",
        { ...opus, usage: served({ inferenceGeo: "us" }) },
        0.3256
      ],
      // 10k more for 1 hour at 8
      [
        "cache writes that are kept for an hour",
        {
          ...opus,
          usage: served({ cacheWriteTokens: 10_000, cacheWrite1hTokens: 10_000 })
        },
        0.376
      ],
      // 4k of them for an hour: 4k * 8 + 6k * 5
      [
        "cache writes that are kept for different times",
        {
          ...opus,
          usage: served({ cacheWriteTokens: 10_000, cacheWrite1hTokens: 4000 })
        },
        0.358
      ],
      // and 10k more for 5 minutes at 5
      [
        "cache writes that are kept for five minutes",
        {
          ...opus,
          usage: served({ cacheWriteTokens: 10_000 })
        },
        0.346
      ],
      // o3 until 2025-06-10: input 10, output 40; then 2 and 8. 10k * 10 + 10k * 40
      [
        "an answer from before a price cut",
        { model: "o3", usage: usage(10_000, 0, 0, 10_000), response: { created_at: Date.UTC(2025, 4, 1) / 1000 } },
        0.5
      ],
      [
        "an answer whose time is in another unit",
        { model: "o3", usage: usage(10_000, 0, 0, 10_000), response: { created_at: Date.UTC(2025, 4, 1) } },
        0.1
      ]
    ])("bills %s", ([, parts, usd]) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* known(answer(parts))).usd, usd)
      }))

    it.effect("takes the cost that the provider states, whatever the prices say", () =>
      Effect.gen(function*() {
        const stated = answer({ usage: served({ reportedNanoUsd: 6_140_000 }) })
        const expected = { usd: 0.00614, nanoUsd: 6_140_000, source: "provider" }

        assert.deepStrictEqual<object>({ ...(yield* known(stated)) }, expected)
        assert.deepStrictEqual<object>(
          { ...(yield* known(stated).pipe(Effect.provide(PriceCatalog.layerNone))) },
          expected
        )
        assert.strictEqual((yield* known(answer({ usage: served({ reportedNanoUsd: 0 }) }))).nanoUsd, 0)
      }))

    it.effect("prices each pass at its own model, tier and region", () =>
      Effect.gen(function*() {
        // claude-opus-5-5, 4 / 20: 10k * 4 + 1k * 20, in the US 1.1 times it; claude-haiku-4-5, 1 / 5: 10k * 1 + 1k * 5
        const price = yield* known(answer({
          ...opus,
          usage: passes(pass({ inferenceGeo: "us" }), pass({ model: "claude-haiku-4-5" }))
        }))

        assert.containSubset(price, {
          nanoUsd: 66_000_000 + 15_000_000,
          source: "prices",
          matchedModel: "claude-opus-5-5"
        })
        assert.containSubset(price.parts, { input: 54_000_000, output: 27_000_000 })
        assert.notProperty(price, "factor")
      }))

    it.effect.each<readonly [title: string, tokens: Usage.Usage, usd: number]>([
      // claude-sonnet-4-5, 3 / 15 to 200k of input, above it 6 / 22.5: 2 * (150k * 3 + 1k * 15)
      ["two short passes", passes(sonnet(150_000), sonnet(150_000)), 0.93],
      // 150k * 3 + 1k * 15 + 250k * 6 + 1k * 22.5
      ["a short and a long pass", passes(sonnet(150_000), sonnet(250_000)), 1.9875],
      // 300k * 3 + 10k * 15
      ["runs that are short on average", new Usage.Usage({ ...usage(300_000, 0, 0, 10_000), modelRuns: 2 }), 1.05],
      // 600k * 6 + 10k * 22.5
      ["runs that are long on average", new Usage.Usage({ ...usage(600_000, 0, 0, 10_000), modelRuns: 2 }), 3.825]
    ])("judges by itself whether a context is long: %s", ([, tokens, usd]) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* known(answer({ ...opus, model: "claude-sonnet-4-5", usage: tokens }))).usd, usd)
      }))

    it.effect("adds a stated cost of one pass to the price of another", () =>
      Effect.gen(function*() {
        const half = passes(pass({}), pass({ reportedNanoUsd: 5 }))
        const free = passes(pass({ reportedNanoUsd: 0 }), pass({ reportedNanoUsd: 0 }))

        assert.containSubset(yield* known(answer({ ...opus, usage: half })), { nanoUsd: 60_000_005, source: "prices" })
        assert.containSubset(yield* known(answer({ ...opus, usage: free })), { nanoUsd: 0, source: "provider" })
      }))

    it.effect("says when the price of a pass is that of a model with a similar name", () =>
      Effect.gen(function*() {
        const price = yield* known(
          answer({ ...opus, usage: passes(pass({}), pass({ model: "claude-opus-4-6-fast" })) })
        )

        assert.strictEqual(price.matchedBy, "prefix")
      }))

    it.effect("takes the time that it is told before the answer's own", () =>
      Effect.gen(function*() {
        const old = answer({
          model: "o3",
          usage: usage(10_000, 0, 0, 10_000),
          response: { created_at: Date.UTC(2025, 4, 1) / 1000 }
        })
        const price = yield* Cost.of(old, { at: now })

        assert.strictEqual(Option.map(price, ({ usd }) => usd).pipe(Option.getOrNull), 0.1)
      }))

    it.effect.each<readonly [title: string, parts: Parts]>([
      ["an unknown model", { model: "gpt-6.1-sol" }],
      ["an answer without usage", { usage: undefined }],
      ["a long context in OpenAI's priority tier", {
        usage: new Usage.Usage({ ...usage(128_001, 0, 0, 1), serviceTier: "priority" })
      }],
      ["OpenAI's priority tier of a model without published rates", {
        model: "gpt-5-nano",
        usage: served({ serviceTier: "priority" })
      }],
      ["OpenAI's cache writes for twelve hours, whose rate is not published", {
        model: "gpt-5.6-sol",
        usage: new Usage.Usage({ ...usage(20_000, 0, 10_000, 10_000), cacheWrite1hTokens: 10_000 })
      }],
      ["the tier auto after a request for another one", { usage: served({ serviceTier: "auto" }) }],
      ["a pass of an unknown model", { ...opus, usage: passes(pass({}), pass({ model: "claude-unknown" })) }],
      ["web searches without a rate", { model: "gpt-5.3-codex", usage: served({ webSearches: 1 }) }],
      ["Anthropic's priority tier", { ...opus, usage: served({ serviceTier: "priority" }) }],
      ["Anthropic's fast mode", { ...opus, usage: served({ serviceTier: "fast" }) }]
    ])("has no price for %s", ([, parts]) =>
      Effect.gen(function*() {
        assert.isTrue(Option.isNone(yield* Cost.of(answer(parts), { at: now })))
      }))

    it.effect.each([null, "text", 1, [[]], { usage: null }, { usage: [], service_tier: 4, created_at: "today" }])(
      "needs nothing of the body: %j",
      (response) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* known(answer({ response }))).usd, 0.135)
        })
    )
  })

  describe("added", () => {
    it.effect("adds what the answer has cost, and the price's entry", () =>
      Effect.gen(function*() {
        const { cost, ...rest } = yield* Cost.added(answer({}))

        assert.containSubset(cost, {
          usd: 0.135,
          matchedModel: "gpt-5",
          matchedBy: "exact",
          parts: { input: 25_000_000 }
        })
        assert.deepStrictEqual(rest, { ...answer({}) })
      }))

    it.effect("adds nothing when nobody knows", () =>
      Effect.gen(function*() {
        const unknown = answer({ model: "gpt-6.1-sol" })

        assert.strictEqual(yield* Cost.added(unknown), unknown)
        assert.notProperty(yield* Effect.provide(Cost.added(answer({})), PriceCatalog.layerNone), "cost")
      }))

    it.effect("keeps an answer whose price cannot be found out", () =>
      Effect.gen(function*() {
        const broken: PriceCatalog.PriceCatalog.Service = { price: () => Effect.die("Broken") }
        const kept = yield* Effect.provideService(Cost.added(answer({})), PriceCatalog.PriceCatalog, broken)

        assert.deepStrictEqual(kept, answer({}))
      }))

    it.effect("gives an answer that encodes to JSON and back", () =>
      Effect.gen(function*() {
        const codec = Schema.toCodecJson(LlmResponse.LlmResponse)
        const priced = yield* Cost.added(answer({}))
        const json = JSON.stringify(yield* Schema.encodeEffect(codec)(priced))

        assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(JSON.parse(json)), priced)
      }))
  })

  describe("of an answer of Holdfast", () => {
    const perMillion = (inputPerMillion: number) =>
      PriceCatalog.layer({ overrides: { "test/own": { inputPerMillion, outputPerMillion: 0 } } })
    const priced = ScriptedProvider.succeeded("Hi", { model: "own", usage: usage(1000, 0, 0, 0) })
    const asked = { model: "test/own", prompt: "Hello" } as const
    const costs = Effect.fnUntraced(function*(prices: Layer.Layer<never>) {
      const scripted = yield* ScriptedProvider.make({
        complete: [Effect.succeed(priced)],
        submit: [ScriptedProvider.accepted()],
        retrieve: [ScriptedProvider.ended(priced)]
      })
      const answers = yield* Effect.gen(function*() {
        const executed = yield* Holdfast.execute({ ...asked, session: "s" })
        const resumed = yield* Holdfast.resume("s")
        const events = yield* Stream.runCollect(Holdfast.stream(asked))
        const left = yield* Effect.forkChild(
          Holdfast.execute({ ...asked, session: "left", strategy: "background" }),
          { startImmediately: true }
        )
        yield* TestClock.adjust("100 millis")
        yield* Fiber.interrupt(left)
        const recovering = yield* Effect.forkChild(Stream.runCollect(Holdfast.recover()), { startImmediately: true })
        yield* TestClock.adjust("10 seconds")
        const recovered = yield* Fiber.join(recovering)
        return [
          executed,
          resumed,
          ...events.flatMap((event) => event._tag === "Completed" ? [event.response] : []),
          ...recovered.flatMap(({ result }) => result._tag === "Success" ? [result.success] : [])
        ]
      }).pipe(Effect.provide(Holdfast.layer.pipe(Layer.provide([scripted.layer, SessionStore.layerMemory, prices]))))
      return answers.map(({ cost }) => cost?.nanoUsd)
    })

    it.effect("is by the catalogue that its layer was given", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* costs(perMillion(2)), [2_000_000, 2_000_000, 2_000_000, 2_000_000])
      }))

    it.effect("is by the caller's own before that", () =>
      Effect.gen(function*() {
        const own = yield* Effect.provide(costs(perMillion(2)), perMillion(3))

        assert.deepStrictEqual(own, [3_000_000, 3_000_000, 3_000_000, 3_000_000])
      }))
  })

  describe("ofSession", () => {
    it.effect("adds up what each submission has cost, and tells what is missing", () =>
      Effect.gen(function*() {
        const cost = yield* Cost.ofSession(session(
          [
            { submissionId: "1", state: "refused", reason: new Reason.RateLimited({ message: "Slow down" }) },
            { submissionId: "2", state: "ended", reason: jobFailed(usage(10_000, 0, 0, 0)) },
            { submissionId: "3", state: "ended", reason: jobFailed(undefined) },
            { submissionId: "4", state: "open" },
            { submissionId: "5", state: "surplus", jobId: "job-5" },
            { submissionId: "6", state: "accepted", jobId: "job-6" }
          ],
          { _tag: "Answered", answer: answer({}) }
        ))

        assert.deepStrictEqual(cost.submissions.map(({ submissionId }) => submissionId), ["1", "2", "3", "4", "5", "6"])
        assert.deepStrictEqual(summary(cost), ["none", 0.0125, "unknown", "unknown", "unknown", 0.135])
        assert.deepStrictEqual(cost.total, { usd: 0.1475, nanoUsd: 147_500_000, unknown: 3, complete: false })
      }))

    it.effect("is complete when everything is known", () =>
      Effect.gen(function*() {
        const cost = yield* Cost.ofSession(session(
          [{ state: "refused" }, { state: "accepted" }],
          { _tag: "Answered", answer: answer({}) }
        ))

        assert.deepStrictEqual(cost.total, { usd: 0.135, nanoUsd: 135_000_000, unknown: 0, complete: true })
      }))

    it.effect("prices a final failure that tells its tokens", () =>
      Effect.gen(function*() {
        const incomplete = new Reason.Incomplete({
          message: "Cut",
          content: "",
          limit: "max_output_tokens",
          usage: usage(20_000, 80_000, 0, 10_000)
        })
        const told = session([{ state: "accepted" }], failed(incomplete))
        const untold = session([{ state: "accepted" }], failed(new Reason.JobCancelled({ message: "Cancelled" })))

        assert.deepStrictEqual(summary(yield* Cost.ofSession(told)), [0.135])
        assert.deepStrictEqual(summary(yield* Cost.ofSession(untold)), ["unknown"])
      }))

    it.effect("prices a surplus job that completed before it could be cancelled", () =>
      Effect.gen(function*() {
        const reason = new Reason.JobCancelled({ message: "Cancelled", usage: usage(10_000, 0, 0, 0) })
        const cost = yield* Cost.ofSession(session(
          [{ state: "surplus", jobId: "job-1", reason }, { state: "accepted", jobId: "job-2" }],
          { _tag: "Answered", answer: answer({}) }
        ))

        assert.deepStrictEqual(summary(cost), [0.0125, 0.135])
        assert.isTrue(cost.total.complete)
      }))

    it.effect("prices a call that was cut after it had cost something", () =>
      Effect.gen(function*() {
        const reason = new Reason.StreamInterrupted({
          message: "Cut",
          content: "Par",
          usage: usage(10_000, 0, 0, 0)
        })

        assert.deepStrictEqual(summary(yield* Cost.ofSession(session([{ state: "refused", reason }]))), [0.0125])
      }))

    it.effect.each<readonly [title: string, tokens: Partial<Usage.Usage>, submission: Submission, usd: number]>([
      ["flex", { serviceTier: "flex" }, {}, 0.00625],
      ["priority", { serviceTier: "priority" }, {}, 0.025],
      ["US-only inference", { inferenceGeo: "us" }, {
        provider: "anthropic",
        model: "claude-opus-5-5",
        strategy: "sync"
      }, 0.044],
      ["a batch", { serviceTier: "batch" }, { provider: "anthropic", model: "claude-opus-5-5" }, 0.02],
      // 10k * 4 + 5k * 8 + 5k * 5
      [
        "cache writes",
        { cacheWriteTokens: 10_000, cacheWrite1hTokens: 5000 },
        { provider: "anthropic", model: "claude-opus-5-5", strategy: "sync" },
        0.105
      ]
    ])("prices a failure that was served as %s", ([, tokens, submission, usd]) =>
      Effect.gen(function*() {
        const used = new Usage.Usage({ ...usage(10_000, 0, 0, 0), ...tokens })
        const info = session([{ ...submission, state: "ended", reason: jobFailed(used) }])

        assert.deepStrictEqual(summary(yield* Cost.ofSession(info)), [usd])
      }))

    it.effect.each<readonly [title: string, submission: Submission, usd: number]>([
      ["openai/gpt-5", { model: "openai/gpt-5" }, 0.0125],
      ["a bare name", { model: "gpt-5" }, 0.0125],
      // claude-opus-5-5: 10k * 4, half of it in a batch
      ["a batch", { provider: "anthropic", model: "anthropic/claude-opus-5-5", strategy: "background" }, 0.02],
      ["a held call", { provider: "anthropic", model: "claude-opus-5-5", strategy: "completions" }, 0.04],
      ["a provider of one's own", { provider: "acme", model: "acme/some/model" }, 0.01],
      // o3 until 2025-06-10: 10k * 10
      ["a submission of long ago", { model: "o3", at: DateTime.makeUnsafe(Date.UTC(2025, 4, 1)) }, 0.1]
    ])("prices the failure of %s", ([, submission, usd]) =>
      Effect.gen(function*() {
        const info = session([{ ...submission, state: "ended", reason: jobFailed(usage(10_000, 0, 0, 0)) }])

        assert.deepStrictEqual(summary(yield* Cost.ofSession(info)), [usd])
      }).pipe(Effect.provide(acme)))

    it.effect("takes the costs that the provider states", () =>
      Effect.gen(function*() {
        const stated = (nanoUsd: number) => new Usage.Usage({ ...usage(10_000, 0, 0, 0), reportedNanoUsd: nanoUsd })
        const refused = new Reason.StreamInterrupted({ message: "Cut", content: "Par", usage: stated(1) })
        const cost = yield* Cost.ofSession(session(
          [
            { state: "refused", reason: refused },
            { state: "ended", reason: jobFailed(stated(20)) },
            { state: "accepted" }
          ],
          { _tag: "Answered", answer: answer({ usage: stated(300) }) }
        ))

        assert.deepStrictEqual(
          cost.submissions.map(({ cost }) => typeof cost === "string" ? cost : [cost.source, cost.nanoUsd]),
          [["provider", 1], ["provider", 20], ["provider", 300]]
        )
        assert.strictEqual(cost.total.nanoUsd, 321)
        assert.isTrue(cost.total.complete)
      }))

    it.effect("keeps a stated cost in the journal", () =>
      Effect.gen(function*() {
        const ask = Holdfast.execute({ model: "acme/some/model", prompt: "Hello", session: "s" })
        const fresh = yield* ask
        const stored = yield* ask
        const cost = yield* Cost.ofSession(yield* Holdfast.inspect("s"))

        assert.containSubset(fresh.cost, { source: "provider", nanoUsd: 42 })
        assert.strictEqual(stored.attempts, 0)
        assert.deepStrictEqual(stored.cost, fresh.cost)
        assert.deepStrictEqual(cost.total, { usd: 4.2e-8, nanoUsd: 42, unknown: 0, complete: true })
      }).pipe(Effect.provide(
        Holdfast.layerTest(() => ({
          content: "Hi",
          usage: new Usage.Usage({ ...usage(10_000, 0, 0, 10_000), reportedNanoUsd: 42 })
        }))
      )))

    it.effect("does not know what a running job will have cost", () =>
      Effect.gen(function*() {
        const cost = yield* Cost.ofSession(session([{ state: "accepted", jobId: "job-1" }]))

        assert.deepStrictEqual(cost.total, { usd: 0, nanoUsd: 0, unknown: 1, complete: false })
      }))

    it.effect("does not know what an answer that is not in the journal has cost", () =>
      Effect.gen(function*() {
        const info = session([{ state: "accepted", jobId: "job-1" }], { _tag: "Reference", jobId: "job-1" })

        assert.deepStrictEqual(summary(yield* Cost.ofSession(info)), ["unknown"])
      }))

    it.effect("costs nothing before anything is sent", () =>
      Effect.gen(function*() {
        const cost = yield* Cost.ofSession(session([]))

        assert.deepStrictEqual(cost.total, { usd: 0, nanoUsd: 0, unknown: 0, complete: true })
      }))

    it.effect("reads the sessions that Holdfast inspects", () =>
      Effect.gen(function*() {
        yield* Holdfast.execute({ model: "acme/some/model", prompt: "Hello", session: "s" })
        const cost = yield* Cost.ofSession(yield* Holdfast.inspect("s"))

        assert.deepStrictEqual(cost.total, { usd: 0.03, nanoUsd: 30_000_000, unknown: 0, complete: true })
      }).pipe(Effect.provide(Layer.merge(
        PriceCatalog.layer({ overrides: { "test/acme/some/model": { inputPerMillion: 1, outputPerMillion: 2 } } }),
        Holdfast.layerTest(() => ({ content: "Hi", usage: usage(10_000, 0, 0, 10_000) }))
      ))))
  })
})

type Parts = Partial<Omit<ConstructorParameters<typeof LlmResponse.LlmResponse>[0], "usage">> & {
  readonly usage?: Usage.Usage | undefined
}

type Submission = Partial<ConstructorParameters<typeof Sessions.SubmissionInfo>[0]>

const now = Date.UTC(2026, 10, 1)

const opus: Parts = { provider: "anthropic", model: "claude-opus-5-5", strategy: "completions" }

const acme = PriceCatalog.layer({ overrides: { "acme/some/model": { inputPerMillion: 1, outputPerMillion: 4 } } })

const known = (answer: LlmResponse.LlmResponse) =>
  TestClock.setTime(now).pipe(Effect.andThen(Cost.of(answer)), Effect.flatMap(Effect.fromOption))

function usage(
  inputTokens: number,
  cacheReadTokens: number,
  cacheWriteTokens: number,
  outputTokens: number
): Usage.Usage {
  return new Usage.Usage({
    inputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    outputTokens,
    reasoningTokens: 0,
    totalTokens: inputTokens + cacheReadTokens + cacheWriteTokens + outputTokens
  })
}

const served = (facts: Partial<Usage.Usage>): Usage.Usage =>
  new Usage.Usage({
    ...usage(20_000, 80_000, facts.cacheWriteTokens ?? 0, 10_000),
    ...facts
  })

function pass(facts: Partial<Usage.UsagePass>): Usage.UsagePass {
  return {
    inputTokens: 10_000,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 1000,
    reasoningTokens: 0,
    model: "claude-opus-5-5",
    ...facts
  }
}

function sonnet(inputTokens: number): Usage.UsagePass {
  return pass({ model: "claude-sonnet-4-5", inputTokens })
}

function passes(...all: ReadonlyArray<Usage.UsagePass>): Usage.Usage {
  const inputTokens = all.reduce((sum, pass) => sum + pass.inputTokens, 0)
  return new Usage.Usage({ ...usage(inputTokens, 0, 0, 1000 * all.length), passes: all })
}

const answer = (parts: Parts): LlmResponse.LlmResponse => {
  const { usage: tokens, ...rest } = { usage: usage(20_000, 80_000, 0, 10_000), ...parts }
  return new LlmResponse.LlmResponse({
    content: "Paris",
    finishReason: "stop",
    response: {},
    model: "gpt-5",
    provider: "openai",
    strategy: "sync",
    submissions: 1,
    attempts: 1,
    polls: 0,
    elapsed: Duration.seconds(1),
    resumed: false,
    settled: true,
    ...rest,
    ...(tokens === undefined ? {} : { usage: tokens })
  })
}

const session = (
  submissions: ReadonlyArray<Submission>,
  settlement?: Session.Settlement
): Sessions.SessionInfo =>
  new Sessions.SessionInfo({
    session: "s",
    state: settlement === undefined ? "running" : "settled",
    submissions: submissions.map((submission, index) =>
      new Sessions.SubmissionInfo({
        submissionId: `${index + 1}`,
        at: DateTime.makeUnsafe(now),
        provider: "openai",
        model: "openai/gpt-5",
        strategy: "background",
        state: "accepted",
        cancelRequested: false,
        ...submission
      })
    ),
    ...(settlement === undefined ? {} : { settlement })
  })

const jobFailed = (tokens: Usage.Usage | undefined): Reason.JobFailed =>
  new Reason.JobFailed({
    message: "The job failed",
    reason: new Reason.ServerError({ message: "Oops" }),
    usage: tokens
  })

const failed = (reason: Reason.NonRetryableReason): Session.Settlement => ({
  _tag: "Failed",
  error: new StrategyError.NonRetryable({ reason })
})

const summary = (cost: Cost.SessionCost): ReadonlyArray<number | string> =>
  cost.submissions.map(({ cost }) => typeof cost === "string" ? cost : cost.usd)
