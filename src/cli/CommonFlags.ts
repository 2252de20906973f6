/**
 * The flags that commands share, and the variables behind them.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** The folder that is used when neither the flag nor `HOLDFAST_STORE` names one. */
const defaultDirectory = ".holdfast"

/**
 * The flag `--store`.
 *
 * @category options
 * @since 0.1.0
 */
export const storeFlag: Flag.Flag<Option.Option<string>> = Flag.String("store").pipe(
  Flag.filter((folder) => folder.trim() !== "", () => "a folder, not an empty text"),
  Flag.withMetavar("folder"),
  Flag.withDescription(`Folder of the sessions (default: HOLDFAST_STORE, or ${defaultDirectory})`),
  Flag.optional
)

/**
 * The flag `--json`.
 *
 * @category options
 * @since 0.1.0
 */
export const jsonFlag: Flag.Flag<boolean> = Flag.Boolean("json").pipe(
  Flag.withDescription("Print one JSON document on stdout, an error too"),
  Flag.withDefault(false)
)

/**
 * Returns the folder that a flag, the environment or the default names.
 *
 * @category combinators
 * @since 0.1.0
 */
export const directoryOf = (flag: Option.Option<string>): Effect.Effect<string> =>
  Option.match(flag, {
    onSome: Effect.succeed,
    onNone: () => variable("HOLDFAST_STORE", defaultDirectory)
  })

/**
 * Returns an environment variable, or a default where it is empty or missing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const variable = (name: string, orElse: string): Effect.Effect<string> =>
  Effect.map(
    Effect.orElseSucceed(Config.String(name), () => ""),
    (value) => value.trim() === "" ? orElse : value.trim()
  )
