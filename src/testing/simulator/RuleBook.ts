/**
 * The rules in force, and how much of each is used up.
 *
 * @since 0.1.0
 */
import type { Action, Endpoint, Rule } from "./Script.ts"

/**
 * The rules in force.
 *
 * @category models
 * @since 0.1.0
 */
export interface RuleBook {
  /** Appends rules behind those that are there, or replaces them. */
  readonly write: (rules: ReadonlyArray<Rule>, replace: boolean) => void
  /** Returns the actions for one request, and uses up the rule that gave them. Empty when no rule fits. */
  readonly take: (endpoint: Endpoint, contains: (text: string) => boolean) => ReadonlyArray<Action>
}

/**
 * Creates an empty `RuleBook`; `random` gives numbers in [0, 1).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (random: () => number): RuleBook => {
  let entries: Array<Entry> = []
  return {
    write: (rules, replace) => {
      const added = rules.map(entryOf)
      entries = replace ? added : [...entries, ...added]
    },
    take: (endpoint, contains) => {
      for (const entry of entries) {
        if (entry.left <= 0 || (entry.on !== undefined && !entry.on.includes(endpoint))) continue
        if (entry.match !== undefined && !contains(entry.match)) continue
        if (entry.skip > 0) {
          entry.skip--
          continue
        }
        if (entry.probability < 1 && random() >= entry.probability) continue
        entry.left--
        return entry.actions
      }
      return none
    }
  }
}

interface Entry {
  readonly on: ReadonlyArray<Endpoint> | undefined
  readonly match: string | undefined
  readonly probability: number
  readonly actions: ReadonlyArray<Action>
  skip: number
  left: number
}

const none: ReadonlyArray<Action> = []

const entryOf = (rule: Rule): Entry => ({
  on: rule.on === undefined ? undefined : typeof rule.on === "string" ? [rule.on] : rule.on,
  match: rule.match,
  probability: rule.probability ?? 1,
  actions: "_tag" in rule.do ? [rule.do] : rule.do,
  skip: rule.skip ?? 0,
  left: rule.times === "always" ? Infinity : rule.times ?? 1
})
