import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as RetryAfter from "../../../src/services/providers/internal/RetryAfter.ts"

describe("RetryAfter", () => {
  it.each<readonly [Record<string, string>, number | undefined]>([
    [{ "retry-after-ms": "250" }, 250],
    [{ "retry-after-ms": "0" }, 0],
    [{ "retry-after-ms": "12.5" }, 13],
    [{ "retry-after-ms": "0", "retry-after": "1" }, 1000],
    [{ "retry-after-ms": "250", "retry-after": "1" }, 250],
    [{ "retry-after-ms": "0", "retry-after": "Sun, 22 Nov 2026 12:00:30 GMT" }, 30_000],
    [{ "retry-after-ms": "soon", "retry-after": "2" }, 2000],
    [{ "retry-after-ms": "-5", "retry-after": "2" }, 2000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "1.5" }, 1500],
    [{ "retry-after": " 7 " }, 7000],
    [{ "retry-after": "3600" }, 3_600_000],
    [{ "retry-after": "31536000" }, 31_536_000_000],
    [{ "retry-after": "40000000" }, undefined],
    [{ "retry-after": "99999999999999999999" }, undefined],
    [{ "retry-after": "-1" }, undefined],
    [{ "retry-after": "NaN" }, undefined],
    [{ "retry-after": "Infinity" }, undefined],
    [{ "retry-after": "1e3" }, undefined],
    [{ "retry-after": "0x10" }, undefined],
    [{ "retry-after": "5, 10" }, undefined],
    [{ "retry-after": "5s" }, undefined],
    [{ "retry-after": "" }, undefined],
    [{}, undefined]
  ])("reads %o as %s ms", (headers, expected) => {
    assert.strictEqual(millis(RetryAfter.fromHeaders(header(headers), now)), expected)
  })

  it.each<readonly [string, number | undefined]>([
    ["Sun, 22 Nov 2026 12:00:30 GMT", 30_000],
    ["Sunday, 22-Nov-26 12:00:30 GMT", 30_000],
    ["Sun Nov 22 12:00:30 2026", 30_000],
    ["Tue Dec  1 12:00:00 2026", 9 * 24 * 3_600_000],
    ["Sun, 22 Nov 2026 12:00:00 GMT", 0],
    ["Sun, 22 Nov 2026 11:59:59 GMT", undefined],
    ["Sunday, 06-Nov-94 08:49:37 GMT", undefined],
    ["Sun, 22 Nov 2028 12:00:00 GMT", undefined],
    ["Sun, 22 Nov 2026 12:00:30 CET", undefined],
    ["Sun, 22 Foo 2026 12:00:30 GMT", undefined],
    ["Sun, 99 Nov 2026 12:00:30 GMT", undefined],
    ["2026-11-22T12:00:30Z", undefined]
  ])("reads the date %s as %s ms from now", (date, expected) => {
    assert.strictEqual(millis(RetryAfter.fromHeaders(header({ "retry-after": date }), now)), expected)
  })

  it.each<readonly [string, number | undefined]>([
    ["12ms", 12],
    ["6m0s", 360_000],
    ["1h2m3.5s", 3_723_500],
    ["17s", 17_000],
    ["1.5s", 1500],
    ["1m9.696s", 69_696],
    ["48.939935699s", 48_940],
    ["500us", 1],
    ["0s", 0],
    ["9000h", undefined],
    ["0", undefined],
    ["-1", undefined],
    ["1d", undefined],
    ["s", undefined],
    ["", undefined]
  ])("reads the Go duration %s as %s ms", (text, expected) => {
    assert.strictEqual(millis(RetryAfter.fromGoDuration(text)), expected)
  })

  it.each<readonly [Record<string, string>, number | undefined]>([
    [{ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s" }, 360_000],
    [{ "x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "6m0s" }, undefined],
    [{ "x-ratelimit-reset-tokens": "6m0s" }, undefined],
    [
      {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "1s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "120ms"
      },
      1000
    ],
    // Azure's Responses endpoint.
    [{ "x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0" }, undefined],
    [{ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7" }, undefined],
    [
      {
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-22T12:00:45Z",
        "anthropic-ratelimit-requests-remaining": "10",
        "anthropic-ratelimit-requests-reset": "2026-11-22T13:00:00Z"
      },
      45_000
    ],
    [
      {
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-11-22T14:00:45.250+02:00"
      },
      45_250
    ],
    [
      { "anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-11-22T11:59:00Z" },
      undefined
    ],
    [{ "anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "soon" }, undefined]
  ])("takes from the rate limits %o a hint of %s ms", (headers, expected) => {
    assert.strictEqual(millis(RetryAfter.fromRateLimits(header(headers), now)), expected)
  })

  it.each<readonly [string, number | undefined]>([
    ["Limit 300000, Used 286751, Requested 16144. Please try again in 579ms. Visit …", 579],
    ["Please try again in 20s.", 20_000],
    ["Please try again in 6m0s", 360_000],
    ["Please retry in 48.939935699s.", 48_940],
    ["Please try again in a while", undefined],
    ["Please try again later", undefined]
  ])("reads the message %s as a wait of %s ms", (text, expected) => {
    assert.strictEqual(millis(RetryAfter.fromText(text.toLowerCase(), now)), expected)
  })
})

// Sunday, 22 November 2026, 12:00:00 GMT
const now = Date.UTC(2026, 10, 22, 12)

const header = (record: Record<string, string>) => (name: string) => record[name]

const millis = (duration: Duration.Duration | undefined) =>
  duration === undefined ? undefined : Duration.toMillis(duration)
