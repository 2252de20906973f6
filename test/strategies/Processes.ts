/**
 * Processes for the tests of strategies: each is a `Holdfast` of its own over a scripted provider and a store that may
 * be shared and may fail on demand.
 */
import { Context, Effect, Exit, Fiber, Layer, Random, Scope, Stream } from "effect"
import { Holdfast, Providers, type ResponseRequest, type Session, SessionStore, SessionStoreError } from "holdfast"
import type { ScriptedProvider } from "holdfast/testing"

/** Jitter pinned to 0, so that delays are whole. */
export const withoutJitter = Effect.provideService(Random.Random, {
  nextDoubleUnsafe: () => 0,
  nextIntUnsafe: () => 0
})

/** Builds a `Holdfast` that ends with the test, or with `close`. */
export const start = Effect.fnUntraced(function*(
  provider: ScriptedProvider.ScriptedProvider,
  store?: SessionStore.SessionStore["Service"],
  ready?: Effect.Effect<void>
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const own = store ?? (yield* SessionStore.makeMemory)
  const providers = ready === undefined ? provider.layer : Layer.effect(
    Providers.Providers,
    Effect.map(Providers.Providers, (inner) =>
      Providers.Providers.of({
        ...inner,
        resolve: (model) => Effect.map(inner.resolve(model), (found) => ({ ...found, ready }))
      }))
  ).pipe(Layer.provide(provider.layer))
  const context = yield* Layer.buildWithScope(
    Layer.fresh(
      Holdfast.layer.pipe(Layer.provide([providers, Layer.succeed(SessionStore.SessionStore, own)]))
    ),
    scope
  )
  return { ...Context.get(context, Holdfast.Holdfast), store: own, close: Scope.close(scope, Exit.void) }
})

/** A background request under the key `s`. */
export const request = (
  change: Partial<ResponseRequest.RequestInput> = {}
): ResponseRequest.RequestInput => ({
  model: "test/anything",
  prompt: "Name the capital of France.",
  strategy: "background",
  session: "s",
  ...change
})

/** Starts an effect now, beside the test. */
export const begin = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkChild(effect, { startImmediately: true })

/** Lets everything run that needs no time. */
export const settleDown = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

/** The tags of a session's journal. */
export const tagsOf = (store: SessionStore.SessionStore["Service"], key = "s") =>
  Effect.map(store.load(key), ({ entries }) => entries.map(({ _tag }) => _tag))

/** The tag, the reason's tag and the facts of an error that tests look at. */
export const factsOf = (error: unknown): Record<string, unknown> => {
  if (typeof error !== "object" || error === null || !("_tag" in error)) return { error }
  const { _tag, attempts, jobId, phase, reason, session } = error as Record<string, unknown>
  const known = { attempts, jobId, phase, reason: (reason as { _tag?: string } | undefined)?._tag, session }
  return { _tag, ...Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)) }
}

/** A store that fails as long as `fails` says so of an operation, and can be told to wait before an append. */
export interface FaultyStore {
  readonly store: SessionStore.SessionStore["Service"]
  fails: (operation: "load" | "append", entry?: Session.Entry) => boolean
  error: SessionStoreError.SessionStoreError
  before: (entry: Session.Entry) => Effect.Effect<void>
}

export const makeFaultyStore: Effect.Effect<FaultyStore> = Effect.map(SessionStore.makeMemory, (memory) => {
  const faulty: FaultyStore = {
    store: SessionStore.SessionStore.of({
      ...memory,
      load: (key) => Effect.suspend(() => faulty.fails("load") ? Effect.fail(faulty.error) : memory.load(key)),
      append: (key, entry, expected) =>
        Effect.suspend(() => faulty.before(entry)).pipe(
          Effect.andThen(Effect.suspend(() =>
            faulty.fails("append", entry) ? Effect.fail(faulty.error) : memory.append(key, entry, expected)
          ))
        ),
      list: Stream.suspend(() => memory.list)
    }),
    fails: () => false,
    error: new SessionStoreError.StoreUnavailable({ operation: "append", message: "The disk is full", code: "ENOSPC" }),
    before: () => Effect.void
  }
  return faulty
})
