/**
 * A node HTTP server as a scoped resource.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import * as Controls from "./Controls.ts"
import * as Random from "./Random.ts"
import * as Recorder from "./Recorder.ts"
import * as RuleBook from "./RuleBook.ts"
import { makeListener } from "./Server.ts"
import type { Checked } from "./Settings.ts"
import type { World } from "./World.ts"

/**
 * Error of a simulator that could not listen on its port.
 *
 * @category errors
 * @since 0.1.0
 */
export class SimulatorError extends Schema.TaggedError<SimulatorError>("holdfast/testing/SimulatorError")(
  "SimulatorError",
  {
    port: Schema.Int,
    cause: Schema.Defect()
  }
) {
  override get message(): string {
    return `The simulator cannot listen on 127.0.0.1:${this.port}`
  }
}

/**
 * Starts a simulator; it stops, with all its connections, when the scope closes.
 *
 * **Errors**
 *
 * - `SimulatorError` when the port is taken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = Effect.fnUntraced(function*(
  options: Checked
): Effect.fn.Return<{ readonly url: string; readonly controls: Controls.Controls }, SimulatorError, Scope.Scope> {
  // The clock of the wall also under a TestClock: clients measure the simulator by real sockets.
  const clock = Clock.Clock.defaultValue()
  const run = yield* FiberSet.makeRuntime()
  const server = yield* Effect.acquireRelease(listen(options.port), close)
  const random = Random.make(options.seed)
  const world: World = {
    settings: options.settings,
    random,
    rules: RuleBook.make(random.next),
    recorder: Recorder.make(options),
    jobs: new Map(),
    now: () => clock.currentTimeMillisUnsafe(),
    later: (millis, f) => {
      const fiber = run(Effect.andThen(clock.sleep(Duration.millis(Math.max(0, millis))), Effect.sync(f)))
      return () => {
        fiber.interruptUnsafe()
      }
    },
    url: `http://127.0.0.1:${portOf(server)}`
  }
  world.rules.write(options.rules, true)
  const controls = Controls.make(world, options.rules)
  server.on("request", makeListener(world, controls))
  return { url: world.url, controls }
})

const listen = (port: number): Effect.Effect<Server, SimulatorError> =>
  Effect.callback<Server, SimulatorError>((resume) => {
    // Idle connections stay open: a client must not meet resets that no script asked for.
    const server = createServer({ keepAlive: true, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 })
    server.on("clientError", (_, socket) => socket.destroy())
    const fail = (cause: Error) => resume(Effect.fail(new SimulatorError({ port, cause })))
    server.once("error", fail)
    server.listen(port, "127.0.0.1", 1024, () => {
      server.off("error", fail)
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
  })

const close = (server: Server): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

const portOf = (server: Server): number => {
  const address: AddressInfo | string | null = server.address()
  return address === null || typeof address === "string" ? 0 : address.port
}
