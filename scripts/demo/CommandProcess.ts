/**
 * The `holdfast` command in a process of its own, its stderr shown indented.
 */
import { Console, Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** How a process ended, and what it printed. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Returns a function that starts the command with a folder of sessions and the address of a provider. */
export const starter = (options: { readonly openAiBaseUrl: string; readonly store: string }) =>
  Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
    yield* Console.log(`  $ holdfast ${args.map((arg) => arg.includes(" ") ? `"${arg}"` : arg).join(" ")}`)
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "pipe"], env: environment(options) })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
      process.stdout.write(text.replace(/^(?=.)/gm, "  | "))
    })
    const ended = new Promise<Ended>((resolve) =>
      child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
    )
    return {
      exit: Effect.promise(() => ended),
      kill: Effect.sync(() => child.kill("SIGKILL"))
    }
  })

const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))

const environment = (options: { readonly openAiBaseUrl: string; readonly store: string }) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:HOLDFAST|OPENAI)_/.test(name))),
  OPENAI_BASE_URL: options.openAiBaseUrl,
  OPENAI_API_KEY: "simulated",
  HOLDFAST_STORE: options.store
})
