/**
 * How long a server asks to wait, wherever it says so.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as ForeignValue from "./ForeignValue.ts"
import * as WaitFormats from "./WaitFormats.ts"
import * as WaitTable from "./WaitTable.ts"

/**
 * Reads a header by its lower-case name.
 *
 * @category models
 * @since 0.1.0
 */
export type Header = (name: string) => string | undefined

/**
 * Returns the wait that a server asks for in `retry-after-ms`, else in
 * `retry-after`.
 *
 * **Details**
 *
 * `retry-after-ms` is a number of milliseconds, and zero only where `retry-after`
 * is not there: Azure sends `0` beside `1`. `retry-after` is a number of seconds
 * or a date, which counts from the server's `date`, else from `now` (Unix time in
 * milliseconds). Decimals and zero are allowed. Anything else is ignored: lists,
 * signs, a date in the past, more than 366 days.
 *
 * A gateway may forward the upstream's headers under a prefix
 * (`llm_provider-retry-after`). Of the two waits the longer one is returned: a
 * request is refused until both have passed.
 *
 * **Source**
 *
 * RFC 9110, 10.2.3 "Retry-After" and 5.6.7 "Date/Time Formats".
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromHeaders = (header: Header, now: number): Duration.Duration | undefined => {
  const clock = serverTime(header, now)
  return longest(
    WaitTable.forwardedPrefixes.map((prefix) => fromPair((name) => header(`${prefix}${name}`), clock))
  )
}

const fromPair = (header: Header, now: number): Duration.Duration | undefined => {
  const exact = first(WaitTable.millisHeaders.map((name) => WaitFormats.durationOf(WaitFormats.number(header(name)))))
  if (exact !== undefined && !Duration.isZero(exact)) return exact
  return first(WaitTable.secondsHeaders.map((name) => {
    const value = header(name)
    return WaitFormats.durationOf(WaitFormats.number(value) * 1000) ??
      WaitFormats.durationOf(WaitFormats.httpDate(value, now) - now)
  })) ?? exact
}

/**
 * Returns the wait before the next poll that a reply asks for: in
 * `openai-poll-after-ms`, milliseconds, else as `fromHeaders` reads it.
 *
 * **Details**
 *
 * A wait of zero is no hint: it would poll without a pause.
 *
 * @category constructors
 * @since 0.1.0
 */
export const beforePoll = (headers: Headers, now: number): Duration.Duration | undefined => {
  const header = (name: string) => headers.get(name) ?? undefined
  const asked = WaitFormats.durationOf(WaitFormats.number(header("openai-poll-after-ms"))) ?? fromHeaders(header, now)
  return asked === undefined || Duration.isZero(asked) ? undefined : asked
}

/**
 * Returns the server's own time from its `date` header, else `now`. Unix time in
 * milliseconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serverTime = (header: Header, now: number): number => {
  const time = WaitFormats.httpDate(header("date"), now)
  return Number.isNaN(time) ? now : time
}

/**
 * Returns the wait until the last used-up window of a limit ends, such as
 * OpenRouter's `X-RateLimit-Reset` or Anthropic's unified limits.
 *
 * **Details**
 *
 * Numbers below 366 days in seconds are a wait in seconds; larger ones are a Unix
 * time in seconds or milliseconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromWindows = (header: Header, now: number): Duration.Duration | undefined => {
  const clock = serverTime(header, now)
  return longest(
    WaitTable.forwardedPrefixes.flatMap((prefix) =>
      WaitTable.windows.map(({ isAssumed, remaining, reset, usedUp }) => {
        const left = header(`${prefix}${remaining}`)
        return left === usedUp || (isAssumed && left === undefined)
          ? fromReset(header(`${prefix}${reset}`), clock)
          : undefined
      })
    )
  )
}

const maxSeconds = 366 * 24 * 3600

const fromReset = (value: string | undefined, now: number): Duration.Duration | undefined => {
  const text = value?.trim()
  const count = WaitFormats.number(text)
  if (count <= maxSeconds) return WaitFormats.durationOf(count * 1000)
  return WaitFormats.durationOf(WaitFormats.epoch(count) - now) ??
    WaitFormats.durationOf(WaitFormats.goDuration(text)) ?? WaitFormats.durationOf(WaitFormats.rfc3339(text) - now)
}

/**
 * Returns the wait until the last exhausted rate limit is full again.
 *
 * **Details**
 *
 * A hint only: these limits refill all the time, and may let a request pass long
 * before they are full. A dimension counts only when its `remaining` is `0`.
 * `x-ratelimit-reset-*` holds a Go duration (`6m0s`); numbers without a unit are
 * ignored, as servers disagree about theirs. `anthropic-ratelimit-*-reset` holds
 * an RFC 3339 time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRateLimits = (header: Header, now: number): Duration.Duration | undefined => {
  const clock = serverTime(header, now)
  return longest(WaitTable.forwardedPrefixes.flatMap((prefix) => {
    const read: Header = (name) => header(`${prefix}${name}`)
    return [
      ...["requests", "tokens"].map((dimension) =>
        read(`x-ratelimit-remaining-${dimension}`) === "0"
          ? fromGoDuration(read(`x-ratelimit-reset-${dimension}`))
          : undefined
      ),
      ...["requests", "tokens", "input-tokens", "output-tokens"].map((dimension) => {
        const limit = `anthropic-ratelimit-${dimension}`
        return read(`${limit}-remaining`) === "0"
          ? WaitFormats.durationOf(WaitFormats.rfc3339(read(`${limit}-reset`)) - clock)
          : undefined
      })
    ]
  }))
}

/**
 * Returns the duration that a Go duration stands for: `12ms`, `6m0s`, `1.5s`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromGoDuration = (text: string | undefined): Duration.Duration | undefined =>
  WaitFormats.durationOf(WaitFormats.goDuration(text))

/**
 * Returns the longest wait that the objects of an error body name, such as
 * `resets_in_seconds`, `retry_after_ms`, `resets_at`, or the `retryDelay` of a
 * `google.rpc.RetryInfo`.
 *
 * **Details**
 *
 * In one object a length wins over a moment, as it needs no clock. `now` is the
 * server's time (Unix time in milliseconds).
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFields = (places: ReadonlyArray<unknown>, now: number): Duration.Duration | undefined =>
  longest(places.map((place) => {
    const read = (names: ReadonlyArray<string>, parse: (value: unknown) => number) =>
      first(names.map((name) => {
        const value = ForeignValue.get(place, name)
        return value === undefined || value === null ? undefined : WaitFormats.durationOf(parse(value))
      }))
    return read(WaitTable.millisFields, (value) => numberOf(value)) ??
      read(WaitTable.secondsFields, (value) => lengthOf(value, now)) ??
      read(WaitTable.momentFields, (value) => momentOf(value, now) - now)
  }))

const numberOf = (value: unknown): number =>
  typeof value === "number" ? value : WaitFormats.number(typeof value === "string" ? value : undefined)

const lengthOf = (value: unknown, now: number): number => {
  if (typeof value === "number") return value * 1000
  // The protobuf form: { seconds, nanos }.
  if (ForeignValue.isObject(value)) {
    const nanos = numberOf(ForeignValue.get(value, "nanos"))
    return numberOf(ForeignValue.get(value, "seconds")) * 1000 + (Number.isNaN(nanos) ? 0 : nanos / 1e6)
  }
  if (typeof value !== "string") return Number.NaN
  const text = value.trim().slice(0, 100)
  return firstNumber([
    WaitFormats.number(text) * 1000,
    WaitFormats.goDuration(text),
    wordedOnly.test(text.toLowerCase()) ? WaitFormats.wordedDuration(text.toLowerCase()) : Number.NaN,
    momentOf(text, now) - now
  ])
}

const wordedOnly = new RegExp(`^${WaitFormats.worded}$`)

const momentOf = (value: unknown, now: number): number => {
  const count = numberOf(value)
  if (!Number.isNaN(count)) return WaitFormats.epoch(count)
  const text = typeof value === "string" ? value.slice(0, 100) : undefined
  return firstNumber([WaitFormats.rfc3339(text), WaitFormats.httpDate(text, now)])
}

/**
 * Returns the longest wait that a message names, in lower case: `try again in
 * 1m9.696s`, `retry after 26 seconds`, `available in 3 hours`, `resets at:
 * 2026-11-30 12:00:00 UTC`, `"retryDelay": "38s"`.
 *
 * **Details**
 *
 * `now` is the server's time (Unix time in milliseconds).
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromText = (text: string, now: number): Duration.Duration | undefined =>
  longest([
    ...all(inWords, text, (words) => WaitFormats.wordedDuration(words)),
    ...all(inMoments, text, (words) => WaitFormats.rfc3339(words) - now),
    ...all(inFields, text, (words) => lengthOf(words, now))
  ])

const oneOf = (words: ReadonlyArray<string>): string => `\\b(?:${words.join("|")})`

const about = String.raw`:?\s{1,2}(?:about |approximately |another |at least |~ ?)?`

const inWords = new RegExp(`${oneOf(WaitTable.beforeDurations)}${about}(${WaitFormats.worded})`, "g")
const inMoments = new RegExp(`${oneOf(WaitTable.beforeMoments)}${about}(${WaitFormats.stamped})`, "g")
const inFields = new RegExp(
  String.raw`${oneOf(WaitTable.quotedFields)}\\?["']?\s{0,2}[:=]\s{0,2}\\?["']?(\d{1,9}(?:\.\d{1,9})?s?)\b`,
  "g"
)

const all = (pattern: RegExp, text: string, read: (words: string) => number) =>
  Array.from(text.matchAll(pattern), (found) => WaitFormats.durationOf(read((found[1] ?? "").trim())))

const first = <A>(values: ReadonlyArray<A | undefined>): A | undefined => values.find((value) => value !== undefined)

const firstNumber = (values: ReadonlyArray<number>): number =>
  values.find((value) => !Number.isNaN(value)) ?? Number.NaN

/** Returns the longest of the waits that are there. */
export const longest = (
  waits: ReadonlyArray<Duration.Duration | undefined>
): Duration.Duration | undefined =>
  waits.reduce(
    (left, right) => left === undefined || right === undefined ? left ?? right : Duration.max(left, right),
    undefined
  )
