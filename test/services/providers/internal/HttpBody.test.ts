import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as BodyLimits from "../../../../src/services/providers/internal/BodyLimits.ts"
import { HttpBody, type Limits } from "../../../../src/services/providers/internal/HttpBody.ts"

describe("BodyLimits", () => {
  it("are 64 MiB for an answer, 1 MiB and 10 seconds for an error, and a second of quiet", () => {
    assert.deepStrictEqual({ ...BodyLimits }, {
      maxBodyBytes: 67_108_864,
      maxErrorBytes: 1_048_576,
      maxErrorMillis: 10_000,
      quietMillis: 1000
    })
  })
})

describe("HttpBody.whole", () => {
  it.live("gives all bytes, up to the limit inclusive", () =>
    Effect.gen(function*() {
      for (const isPushedBefore of [true, false]) {
        const body = bodyOf()
        const push = () => ["12", "345"].forEach((piece) => body.push(Buffer.from(piece)))
        if (isPushedBefore) push()
        const whole = body.whole({ ...limits, maxBytes: 5 })
        if (!isPushedBefore) push()
        body.end()

        assert.deepInclude(yield* Effect.promise(() => whole), { bytes: Buffer.from("12345"), end: "Ended" })
        assert.strictEqual(body.cancelled, 0)
      }
    }))

  it.live("is cancelled beyond the limit, and takes nothing more", () =>
    Effect.gen(function*() {
      for (const isPushedBefore of [true, false]) {
        const body = bodyOf()
        if (isPushedBefore) body.push(Buffer.from("123456"))
        const whole = body.whole({ ...limits, maxBytes: 5 })
        if (!isPushedBefore) body.push(Buffer.from("123456"))
        body.push(Buffer.from("7"))
        body.fail(new Error("late"))

        assert.deepInclude(yield* Effect.promise(() => whole), { bytes: Buffer.from("123456"), end: "Full" })
        assert.strictEqual(body.cancelled, 1)
      }
    }))

  it.live("keeps what came before a failure, and drops it when the request is aborted", () =>
    Effect.gen(function*() {
      const broken = bodyOf()
      broken.push(Buffer.from("12"))
      broken.fail("reset")
      const aborted = bodyOf()
      const whole = aborted.whole(limits)
      aborted.push(Buffer.from("12"))
      aborted.discard("stop")

      const read = yield* Effect.promise(() => broken.whole(limits))
      const reason = yield* Effect.promise(() => whole.then(() => "read", (error: unknown) => error))

      assert.deepInclude(read, { bytes: Buffer.from("12"), end: "Failed", error: "reset" })
      assert.strictEqual(reason, "stop")
    }))

  it.live("ends after a second of quiet when that is enough, and asks once for the same bytes", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const body = bodyOf()
      const whole = body.whole({ ...limits, isEnough: (bytes) => asked.push(bytes.toString()) === 2 })
      body.push(Buffer.from("1"))
      yield* Effect.sleep("3300 millis")
      body.push(Buffer.from("2"))

      assert.deepInclude(yield* Effect.promise(() => whole), { bytes: Buffer.from("12"), end: "Quiet" })
      assert.deepStrictEqual([asked, body.cancelled], [["1", "12"], 1])
    }))

  it.live("ends after the longest time, however little comes", () =>
    Effect.gen(function*() {
      const body = bodyOf()
      const timer = setInterval(() => body.push(Buffer.from("1")), 100)
      const { bytes, end } = yield* Effect.promise(() => body.whole({ ...limits, maxMillis: 1500 }))
      clearInterval(timer)

      assert.strictEqual(end, "Quiet")
      assert.isAbove(bytes.length, 5)
    }))
})

const limits: Limits = { maxBytes: 1000, maxMillis: Infinity, isEnough: () => false }

const bodyOf = () => {
  const flow = { pause: () => {}, resume: () => {}, cancel: () => void body.cancelled++ }
  const body = Object.assign(new HttpBody(flow), { cancelled: 0 })
  return body
}
