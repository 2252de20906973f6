/**
 * Durations, as people write and read them on a command line.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/**
 * Returns the duration that a text names: `90s`, `10m`, `1h30m`, `500ms`,
 * `10 minutes`. `None` when it names none, or one that is not positive.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Option.Option<Duration.Duration> => {
  const compact = text.trim().toLowerCase()
  if (!/^(?:\d+(?:\.\d+)?\s*[a-z]+\s*)+$/.test(compact)) return Option.none()
  let millis = 0
  for (const [, count = "", unit = ""] of compact.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/g)) {
    millis += Number(count) * (units.find(({ names }) => names.test(unit))?.millis ?? NaN)
  }
  return Number.isFinite(millis) && millis > 0 ? Option.some(Duration.millis(millis)) : Option.none()
}

/**
 * Returns a duration as people read it: `0.8 s`, `12 s`, `3 min 05 s`, `1 h 02 min`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const format = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  if (millis < 9950) return `${(millis / 1000).toFixed(1)} s`
  const seconds = Math.round(millis / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`
}

/**
 * Creates a flag that takes a duration.
 *
 * @category constructors
 * @since 0.1.0
 */
export const flag = (name: string): Flag.Flag<Duration.Duration> =>
  Flag.String(name).pipe(
    Flag.filterMap(parse, (text) =>
      `a duration such as 90s, 10m or 1h30m, longer than zero, not ${JSON.stringify(text)}`),
    Flag.withMetavar("duration")
  )

const units = [
  { names: /^(?:ms|millis?|milliseconds?)$/, millis: 1 },
  { names: /^(?:s|secs?|seconds?)$/, millis: 1000 },
  { names: /^(?:m|mins?|minutes?)$/, millis: 60_000 },
  { names: /^(?:h|hours?)$/, millis: 3_600_000 },
  { names: /^(?:d|days?)$/, millis: 86_400_000 }
]

const pad = (count: number): string => String(count).padStart(2, "0")
