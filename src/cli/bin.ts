#!/usr/bin/env node
/**
 * The entry of the `holdfast` command.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Runtime from "effect/Runtime"
import { enableCompileCache } from "node:module"

enableCompileCache()

// A reader that has gone away (`| head`) is no error of ours.
process.stdout.on("error", () => {})
process.stderr.on("error", () => {})

// The first signal interrupts the program; who is in a hurry sends another one.
let signals = 0
const onSignal = (): void => {
  if (++signals > 1) process.exit(130)
}
process.on("SIGINT", onSignal)
process.on("SIGTERM", onSignal)

const { main } = await import("./Main.ts")

NodeRuntime.runMain(main, {
  disableErrorReporting: true,
  // Waits for what is still to be written, not for idle connections.
  teardown: (exit) =>
    Runtime.defaultTeardown(exit, (code) => {
      process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))
    })
})
