/**
 * Durations in the forms that Effect's own options take.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

const Input = Schema.declare(
  (input: unknown): input is Duration.Input => Option.isSome(Duration.fromInput(input as Duration.Input)),
  { expected: "a duration" }
)

/**
 * Schema that reads a positive `Duration.Input`: `"30 seconds"`,
 * `{ minutes: 2 }`, a `Duration`, or a number of milliseconds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PositiveDuration = Input.pipe(
  Schema.decodeTo(
    Schema.Duration,
    SchemaTransformation.transformEffect<Duration.Duration, Duration.Input>({
      decode: (input, options) => {
        const duration = Duration.fromInputUnsafe(input)
        return Duration.isPositive(duration)
          ? Effect.succeed(duration)
          : Effect.fail(new SchemaIssue.InvalidValue({ expected: "a positive duration" }, undefined, options))
      },
      encode: Effect.succeed
    })
  )
)
