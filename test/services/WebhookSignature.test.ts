import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import OpenAI from "openai"
import type { WebhookRejected } from "../../src/errors/WebhookRejected.ts"
import * as WebhookSignature from "../../src/services/WebhookSignature.ts"

describe("WebhookSignature", () => {
  it("signs as the standard's example has it", () => {
    const secret = Redacted.make("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    const signature = WebhookSignature.sign(
      secret,
      "msg_p5jXN8AQM9LWM0D4loKWxJek",
      1614265330,
      "{\"test\": 2432232314}"
    )

    assert.strictEqual(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  })

  it.live.each([whsec("key"), "a secret without a prefix"])(
    "signs so that OpenAI's SDK takes it, with %s",
    (text) =>
      Effect.gen(function*() {
        const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const headers = signed({ secret: Redacted.make(text), timestamp: now })
        const client = new OpenAI({ apiKey: "any", webhookSecret: text })

        yield* Effect.promise(() => client.webhooks.verifySignature(body, headers))
      })
  )

  it.effect("verifies what a secret has signed, as text and as bytes, and returns the id", () =>
    Effect.gen(function*() {
      const check = WebhookSignature.verify({ secrets: current })

      assert.strictEqual(yield* check(body, signed()), "wh_1")
      assert.strictEqual(yield* check(new TextEncoder().encode(body), signed()), "wh_1")
    }))

  it.effect("reads the headers of fetch and of Node, in any case", () =>
    Effect.gen(function*() {
      const check = WebhookSignature.verify({ secrets: current })
      const headers = signed()
      const shouted = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]))

      assert.strictEqual(yield* check(body, new Headers(headers)), "wh_1")
      assert.strictEqual(yield* check(body, shouted), "wh_1")
    }))

  it.effect("takes any of several secrets, and any of several signatures", () =>
    Effect.gen(function*() {
      const check = WebhookSignature.verify({ secrets: [next, current] })
      const many = `v1a,zzz v1,${"A".repeat(43)}= ${signed()["webhook-signature"]} v2,abc`

      assert.strictEqual(yield* check(body, signed({ secret: current })), "wh_1")
      assert.strictEqual(yield* check(body, signed({ secret: next })), "wh_1")
      assert.strictEqual(yield* check(body, { ...signed(), "webhook-signature": many }), "wh_1")
    }))

  it.effect.each<[string, string, Record<string, string>]>([
    ["another body", `${body} `, {}],
    ["another id", body, { "webhook-id": "wh_2" }],
    ["another timestamp", body, { "webhook-timestamp": "1" }],
    ["an empty signature", body, { "webhook-signature": "v1," }],
    ["a signature without its version", body, { "webhook-signature": "AAAA" }],
    ["a signature of another secret", body, signed({ secret: Redacted.make("other") })]
  ])("rejects %s", ([, text, headers]) =>
    Effect.gen(function*() {
      const check = WebhookSignature.verify({ secrets: current })

      assert.strictEqual(yield* reason(check(text, { ...signed(), ...headers })), "signature")
    }))

  it.effect("rejects a right signature behind 32 others", () =>
    Effect.gen(function*() {
      const check = WebhookSignature.verify({ secrets: current })
      const behind = (count: number) => ({
        ...signed(),
        "webhook-signature": `${"v1,AAAA ".repeat(count)}${signed()["webhook-signature"]}`
      })

      assert.strictEqual(yield* check(body, behind(31)), "wh_1")
      assert.strictEqual(yield* reason(check(body, behind(32))), "signature")
    }))

  it.effect("takes a signature for five minutes, and one from up to five minutes ahead", () =>
    Effect.gen(function*() {
      const check = WebhookSignature.verify({ secrets: current })
      yield* TestClock.adjust("1 hour")
      const at = (seconds: number) => check(body, signed({ timestamp: 3600 + seconds }))

      assert.strictEqual(yield* at(-300), "wh_1")
      assert.strictEqual(yield* at(300), "wh_1")
      assert.strictEqual(yield* reason(at(-301)), "timestamp")
      assert.strictEqual(yield* reason(at(301)), "timestamp")
    }))

  it.effect.each<Record<string, string | ReadonlyArray<string> | undefined>>([
    { "webhook-id": undefined },
    { "webhook-id": " " },
    { "webhook-id": "x".repeat(257) },
    { "webhook-signature": undefined },
    { "webhook-timestamp": undefined },
    { "webhook-timestamp": "soon" },
    { "webhook-timestamp": "-1" },
    { "webhook-timestamp": ["0", "1"] }
  ])("rejects the headers %j", (headers) =>
    Effect.gen(function*() {
      const check = WebhookSignature.verify({ secrets: current })

      assert.strictEqual(yield* reason(check(body, { ...signed(), ...headers })), "headers")
    }))

  it("throws for no secret, an empty one, and a tolerance of nothing", () => {
    assert.throws(() => WebhookSignature.verify({ secrets: [] }), RangeError)
    assert.throws(() => WebhookSignature.verify({ secrets: Redacted.make(" ") }), RangeError)
    assert.throws(() => WebhookSignature.verify({ secrets: [current, Redacted.make("whsec_")] }), RangeError)
    assert.throws(() => WebhookSignature.verify({ secrets: current, tolerance: Duration.zero }), RangeError)
  })
})

function whsec(text: string): string {
  return `whsec_${Buffer.from(text).toString("base64")}`
}

const current = Redacted.make(whsec("current"))
const next = Redacted.make(whsec("next"))

const body = "{\"type\":\"response.completed\",\"data\":{\"id\":\"resp_1\"}}"

function signed(options: { readonly secret?: Redacted.Redacted<string>; readonly timestamp?: number } = {}) {
  const { secret = Redacted.make(whsec("current")), timestamp = 0 } = options
  const text = "{\"type\":\"response.completed\",\"data\":{\"id\":\"resp_1\"}}"
  return {
    "webhook-id": "wh_1",
    "webhook-timestamp": `${timestamp}`,
    "webhook-signature": WebhookSignature.sign(secret, "wh_1", timestamp, text)
  }
}

const reason = (checked: Effect.Effect<string, WebhookRejected>) =>
  Effect.map(Effect.flip(checked), ({ reason }) => reason)
