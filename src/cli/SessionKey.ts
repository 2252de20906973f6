/**
 * Keys for sessions that the user has not named.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/**
 * Creates a key that is easy to read and type: two words and five characters,
 * one of 34,359,738,368 keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fresh: Effect.Effect<string> = Effect.gen(function*() {
  const first = yield* pick(adjectives)
  const second = yield* pick(nouns)
  const tail = yield* Effect.forEach([1, 2, 3, 4, 5], () => pick(characters))
  return `${first}-${second}-${tail.join("")}`
})

const pick = <A>(items: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, items.length - 1), (index) => items[index] as A)

const words = (text: string): ReadonlyArray<string> => text.split(" ")

const adjectives = words(
  "amber brave bright calm clear clever cool crisp deep early fair fleet fresh gentle golden grand " +
    "green happy keen kind lively lucky mellow mild noble patient proud quiet rapid silver steady swift"
)

const nouns = words(
  "anchor atlas bay beacon birch brook canyon cedar cliff comet coral delta ember falcon fern fjord " +
    "forest glade harbor heron island lagoon maple meadow otter pine reef river spruce summit valley willow"
)

// Without letters and digits that look alike.
const characters = [..."23456789abcdefghijkmnpqrstuvwxyz"]
