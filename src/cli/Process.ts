/**
 * Runs the `holdfast` command as this process: its signals, its streams and its exit code.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

// A reader that has gone away (`| head`) is no error of ours; a disk that is full is.
let unwritten: string | undefined
process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
  if (code !== "EPIPE") unwritten = code ?? message
})
process.stderr.on("error", () => {})

// The first signal interrupts the program; who is in a hurry sends another one.
let signals = 0
const onSignal = (): void => {
  if (++signals > 1) process.exit(130)
}
process.on("SIGINT", onSignal)
process.on("SIGTERM", onSignal)

// Node's console says nothing of what it could not write.
const unhushed = (console: Console.Console): Console.Console =>
  Object.assign(Object.create(console), { log: (text: string) => process.stdout.write(`${text}\n`) })

const { main } = await import("./Main.ts")

NodeRuntime.runMain(Console.consoleWith((console) => Effect.provideService(main, Console.Console, unhushed(console))), {
  disableErrorReporting: true,
  // Waits for what is still to be written, not for idle connections.
  teardown: (exit) =>
    Runtime.defaultTeardown(exit, (code) => {
      process.stdout.write("", () =>
        // The event of an error comes after the callback.
        setImmediate(() => {
          const isLost = code === 0 && unwritten !== undefined
          const said = isLost ? `Error: stdout cannot be written: ${unwritten}\n` : ""
          process.stderr.write(said, () => process.exit(isLost ? 1 : code))
        }))
    })
})
