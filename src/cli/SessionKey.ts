/**
 * Keys for sessions that the user has not named.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Str from "effect/String"

/**
 * Creates a key that is easy to read and type: two words and five characters,
 * one of 34,359,738,368 keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fresh: Effect.Effect<string> = Effect.gen(function*() {
  const first = yield* Random.choice(adjectives)
  const second = yield* Random.choice(nouns)
  const tail = yield* Effect.replicateEffect(Random.choice(characters), 5)
  return `${first}-${second}-${tail.join("")}`
})

const adjectives = Str.split(
  "amber brave bright calm clear clever cool crisp deep early fair fleet fresh gentle golden grand " +
    "green happy keen kind lively lucky mellow mild noble patient proud quiet rapid silver steady swift",
  " "
)

const nouns = Str.split(
  "anchor atlas bay beacon birch brook canyon cedar cliff comet coral delta ember falcon fern fjord " +
    "forest glade harbor heron island lagoon maple meadow otter pine reef river spruce summit valley willow",
  " "
)

// Without letters and digits that look alike.
const characters = Str.split("23456789abcdefghijkmnpqrstuvwxyz", "")
