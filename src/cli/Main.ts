/**
 * The program of the command: its arguments, and the platform that it runs on.
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import { fileURLToPath } from "node:url"
import * as Cli from "./Cli.ts"

/**
 * The whole command, with the arguments of the process.
 *
 * @category combinators
 * @since 0.1.0
 */
export const main = Effect.gen(function*() {
  const stdio = yield* Stdio.Stdio
  yield* Cli.run(yield* stdio.args, { version: yield* version })
}).pipe(
  // @effect-diagnostics-next-line strictEffectProvide:off
  Effect.provide(NodeServices.layer)
)

const Package = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

// The same path from `src/cli` and from `dist/cli`.
const version = FileSystem.FileSystem.use((fs) =>
  fs.readFileString(fileURLToPath(new URL("../../package.json", import.meta.url)))
).pipe(
  Effect.flatMap(Schema.decodeEffect(Package)),
  Effect.map((decoded) => decoded.version),
  Effect.orElseSucceed(() => "unknown")
)
