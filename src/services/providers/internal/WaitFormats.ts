/**
 * Reads the formats in which servers write a wait or a moment. Results are in
 * milliseconds; `NaN` stands for text that holds none.
 */
import * as Duration from "effect/Duration"

/** The longest wait that counts, milliseconds: 366 days. A longer one is a unit that was mistaken. */
const maxMillis = 366 * 24 * 3_600_000

/** Returns the duration, rounded up to a millisecond; `undefined` for `NaN`, for less than zero and for more than 366 days. */
export const durationOf = (millis: number): Duration.Duration | undefined =>
  millis >= 0 && millis <= maxMillis ? Duration.millis(Math.ceil(millis)) : undefined

/** Returns a decimal number without a sign. */
export const number = (text: string | undefined): number =>
  text !== undefined && /^\d{1,15}(?:\.\d{1,15})?$/.test(text.trim()) ? Number(text) : Number.NaN

const unitMillis: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ns: 1e-6
}

/** Returns the length of a Go or protobuf duration: `12ms`, `6m0s`, `1.5s`. */
export const goDuration = (text: string | undefined): number => {
  if (text === undefined || text.length > 64 || !/^(?:\d+(?:\.\d+)?(?:h|ms|us|µs|μs|ns|m|s))+$/.test(text)) {
    return Number.NaN
  }
  let millis = 0
  for (const part of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|µs|μs|ns|m|s)/g)) {
    millis += Number(part[1]) * (unitMillis[part[2] ?? ""] ?? Number.NaN)
  }
  return millis
}

const unit = "(?:milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"

/** The source of a pattern for durations in words, in lower case: `26 seconds`, `1 hour and 5 minutes`, `6m0s`, `a minute`. */
export const worded = String.raw`(?:(?:\d{1,9}(?:\.\d{1,12})?\s{0,2}|an?\s)${unit}[\s,]{0,3}(?:and\s)?){1,5}`

const wordedUnits: ReadonlyArray<readonly [prefix: string, unit: string]> = [
  ["mil", "ms"],
  ["ms", "ms"],
  ["m", "m"],
  ["s", "s"],
  ["h", "h"],
  ["d", "d"]
]

/** Returns the length of a duration in words, as `worded` finds it. */
export const wordedDuration = (text: string): number => {
  let millis = Number.NaN
  for (const part of text.matchAll(/(\d{1,9}(?:\.\d{1,12})?|\ban?(?=\s))\s*([a-z]+)/g)) {
    const name = wordedUnits.find(([prefix]) => part[2]?.startsWith(prefix))?.[1] ?? ""
    const count = part[1]?.startsWith("a") ? 1 : Number(part[1])
    millis = (Number.isNaN(millis) ? 0 : millis) + count * (unitMillis[name] ?? Number.NaN)
  }
  return millis
}

/** Returns the Unix time that a number stands for: of seconds below 100,000,000,000, else of milliseconds. */
export const epoch = (value: number): number => value < 1e11 ? value * 1000 : value

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

const imfDate = /^[a-z]{3}, (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt$/i
const rfc850Date = /^[a-z]{6,9}, (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) gmt$/i
const asctimeDate = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i

/** Returns the Unix time of an HTTP date (RFC 9110, 5.6.7). `now` decides the century of a two-digit year. */
export const httpDate = (value: string | undefined, now: number): number => {
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

/** The source of a pattern for times of RFC 3339, in lower case; some servers write ` utc` for `z`. */
export const stamped = String.raw`\d{4}-\d{2}-\d{2}[t ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:z| ?utc|[+-]\d{2}:\d{2})`

const rfc3339Time = /^(\d{4})-(\d{2})-(\d{2})[t ](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?(?:z| ?utc|([+-])(\d{2}):(\d{2}))$/i

/** Returns the Unix time of an RFC 3339 time. */
export const rfc3339 = (value: string | undefined): number => {
  const parts = rfc3339Time.exec(value?.trim() ?? "")
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
