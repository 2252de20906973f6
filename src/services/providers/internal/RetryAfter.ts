/**
 * How long a server asks to wait, in every grammar that providers use.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

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
 * or a date, which counts from `now` (Unix time in milliseconds).
 * Decimals and zero are allowed. Anything else is ignored: lists, signs, a date
 * in the past, more than 366 days.
 *
 * **Source**
 *
 * RFC 9110, 10.2.3 "Retry-After" and 5.6.7 "Date/Time Formats".
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromHeaders = (header: Header, now: number): Duration.Duration | undefined => {
  const value = header("retry-after")
  const exact = wait(number(header("retry-after-ms")))
  if (exact !== undefined && !Duration.isZero(exact)) return exact
  return wait(number(value) * 1000) ?? wait(fromHttpDate(value, now) - now) ?? exact
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
  const asked = wait(number(header("openai-poll-after-ms"))) ?? fromHeaders(header, now)
  return asked === undefined || Duration.isZero(asked) ? undefined : asked
}

/**
 * Returns the wait until the last exhausted rate limit is reset.
 *
 * **Details**
 *
 * A dimension counts only when its `remaining` is `0`. `x-ratelimit-reset-*`
 * holds a Go duration (`6m0s`); numbers without a unit are ignored, as servers
 * disagree about theirs. `anthropic-ratelimit-*-reset` holds an RFC 3339 time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRateLimits = (header: Header, now: number): Duration.Duration | undefined => {
  const waits = [
    ...["requests", "tokens"].flatMap((dimension) =>
      header(`x-ratelimit-remaining-${dimension}`) === "0"
        ? [fromGoDuration(header(`x-ratelimit-reset-${dimension}`))]
        : []
    ),
    ...["requests", "tokens", "input-tokens", "output-tokens"].flatMap((dimension) => {
      const prefix = `anthropic-ratelimit-${dimension}`
      return header(`${prefix}-remaining`) === "0" ? [wait(fromRfc3339(header(`${prefix}-reset`)) - now)] : []
    })
  ].filter((duration) => duration !== undefined)
  return waits.length === 0 ? undefined : waits.reduce((left, right) => Duration.max(left, right))
}

/**
 * Returns the duration that a Go duration stands for: `12ms`, `6m0s`, `1.5s`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromGoDuration = (text: string | undefined): Duration.Duration | undefined => {
  if (text === undefined || text.length > 64 || !/^(?:\d+(?:\.\d+)?(?:h|ms|us|µs|μs|ns|m|s))+$/.test(text)) {
    return undefined
  }
  let millis = 0
  for (const part of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|µs|μs|ns|m|s)/g)) {
    millis += Number(part[1]) * (unitMillis[part[2] ?? ""] ?? Number.NaN)
  }
  return wait(millis)
}

/**
 * Returns the wait that a message names: `try again in 1m9.696s`, `retry in
 * 48.9s`.
 *
 * **Details**
 *
 * A hint only. It is all there is where an error arrives inside a stream or a
 * job, without headers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromText = (text: string): Duration.Duration | undefined => {
  const found = /\b(?:try again|retry) in ([0-9hmsuµ.]{2,32})/i.exec(text)
  return found === null ? undefined : fromGoDuration(found[1]?.replace(/\.$/, ""))
}

const unitMillis: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ns: 1e-6
}

const maxMillis = 366 * 24 * 3_600_000

// False for NaN, which stands for text that says no number or time.
const wait = (millis: number): Duration.Duration | undefined =>
  millis >= 0 && millis <= maxMillis ? Duration.millis(Math.ceil(millis)) : undefined

const number = (text: string | undefined): number =>
  text !== undefined && /^\d{1,15}(?:\.\d{1,15})?$/.test(text.trim()) ? Number(text) : Number.NaN

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

const imfDate = /^[a-z]{3}, (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt$/i
const rfc850Date = /^[a-z]{6,9}, (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) gmt$/i
const asctimeDate = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i

const fromHttpDate = (value: string | undefined, now: number): number => {
  const text = value?.trim() ?? ""
  const imf = imfDate.exec(text)
  if (imf !== null) return time(imf[3], imf[2], imf[1], imf[4], imf[5], imf[6])
  const asctime = asctimeDate.exec(text)
  if (asctime !== null) return time(asctime[6], asctime[1], asctime[2], asctime[3], asctime[4], asctime[5])
  const old = rfc850Date.exec(text)
  if (old === null) return Number.NaN
  // RFC 9110, 5.6.7: a two-digit year more than 50 years ahead is in the past.
  const century = Math.floor(1970 + now / yearMillis) - Math.floor(1970 + now / yearMillis) % 100
  const near = time(`${century + Number(old[3])}`, old[2], old[1], old[4], old[5], old[6])
  return near - now > 50 * yearMillis
    ? time(`${century - 100 + Number(old[3])}`, old[2], old[1], old[4], old[5], old[6])
    : near
}

const yearMillis = 365.2425 * 24 * 3_600_000

type Field = string | undefined

const time = (year: Field, month: Field, day: Field, hour: Field, minute: Field, second: Field): number => {
  const monthIndex = months.indexOf((month ?? "").toLowerCase())
  return monthIndex < 0
    ? Number.NaN
    : utc(Number(year), monthIndex, Number(day), Number(hour), Number(minute), Number(second))
}

const utc = (
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number
): number =>
  day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 60
    ? Date.UTC(year, month, day, hour, minute, second)
    : Number.NaN

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[t ](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?(?:z|([+-])(\d{2}):(\d{2}))$/i

const fromRfc3339 = (value: string | undefined): number => {
  const parts = rfc3339.exec(value?.trim() ?? "")
  if (parts === null || Number(parts[2]) < 1 || Number(parts[2]) > 12) return Number.NaN
  const base = utc(
    Number(parts[1]),
    Number(parts[2]) - 1,
    Number(parts[3]),
    Number(parts[4]),
    Number(parts[5]),
    Number(parts[6])
  )
  const offset = (Number(parts[9] ?? 0) * 60 + Number(parts[10] ?? 0)) * 60_000
  return base + Number(parts[7] ?? 0) * 1000 - (parts[8] === "-" ? -offset : offset)
}
