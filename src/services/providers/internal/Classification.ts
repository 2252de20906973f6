/**
 * The rule itself: from the facts of a failure to what it comes to.
 *
 * @since 0.1.0
 */
import type { Evidence } from "../../../errors/ProviderError.ts"
import type { Facts, Link } from "./ErrorFacts.ts"
import * as ErrorTable from "./ErrorTable.ts"
import * as ErrorTexts from "./ErrorTexts.ts"
import * as TransportTable from "./TransportTable.ts"

/**
 * What a failure comes to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Classification {
  readonly kind: ErrorTable.ErrorKind
  /** Whether only a text pattern led here. */
  readonly inferred: boolean
  readonly evidence: Evidence
  /** Whether an error in a 2xx or a stream says that a limit kept the request from being taken. */
  readonly isRefusal: boolean
  /** Whether the limit is one that lasts for hours: without a named wait it is a quota. */
  readonly isLongLimit: boolean
}

/**
 * Returns what a failure comes to.
 *
 * **Details**
 *
 * The order is: codes, types, text, HTTP status, vague codes and types,
 * the transport's messages, codes and names. Where a code speaks of a rate limit
 * or of a permission, the text may say more. What is still unknown is
 * `ServerError` where a provider spoke, else `Network`.
 * `x-should-retry: false` makes what an HTTP status alone decided
 * not retryable: a 429 becomes `QuotaExceeded`, anything else `InvalidRequest`;
 * `true` counts for a 4xx that the table does not know.
 *
 * @category combinators
 * @since 0.1.0
 */
export const of = (facts: Facts): Classification =>
  known(facts) ??
    classification(facts.links.length === 0 ? "ServerError" : "Network", transportEvidence(facts, "Uncertain"))

/**
 * Returns what the `error` of a failed job comes to.
 *
 * **Details**
 *
 * The same rule, but that an error which says nothing known is not retryable: a
 * new job costs money.
 *
 * @category combinators
 * @since 0.1.0
 */
export const ofJob = (facts: Facts): Classification => known(facts) ?? classification("InvalidRequest", "Uncertain")

const known = (facts: Facts): Classification | undefined => {
  const status = errorStatus(facts)
  if (status === undefined && facts.status !== undefined && !facts.isError) {
    return classification("InvalidResponse", "Uncertain")
  }
  const evidence = evidenceOf(facts)
  const coded = byCode(facts, status)
  if (coded !== undefined) {
    const isLongLimit = coded.kind === "RateLimited" &&
      facts.signals.some((signal) => ErrorTable.longLimits.has(signal))
    const isRefusal = isLongLimit || (isLimit(coded.kind) && limitStatuses.has(facts.innerStatus ?? 0))
    return { ...classification(coded.kind, evidence, coded.inferred), isRefusal, isLongLimit }
  }
  const worded = byText(ErrorTexts.textRules.filter((rule) => rule.statuses.includes(status ?? "none")), facts)
  if (worded !== undefined) return classification(worded, evidence, true)
  if (status !== undefined) {
    return {
      ...classification(byStatus(facts, status), evidence),
      isRefusal: limitStatuses.has(facts.innerStatus ?? 0)
    }
  }
  const vague = find(facts.signals, (signal) => ErrorTable.vagueSignals.get(signal))
  if (vague !== undefined) return classification(vague, evidence)
  const transport = find(transportRules, (rule) => rule(facts.links))
  return transport === undefined
    ? undefined
    : classification(transport.kind, transportEvidence(facts, transport.evidence))
}

const transportEvidence = (facts: Facts, evidence: Evidence): Evidence =>
  facts.links.some((link) => link.names.includes(TransportTable.notSent)) ? "NotSent" : evidence

const classification = (kind: ErrorTable.ErrorKind, evidence: Evidence, inferred = false): Classification => ({
  kind,
  inferred,
  evidence,
  isRefusal: false,
  isLongLimit: false
})

const errorStatus = (facts: Facts): number | undefined => {
  if (facts.status !== undefined && (facts.status < 200 || facts.status >= 300)) return facts.status
  return facts.innerStatus !== undefined && facts.innerStatus >= 400 && facts.innerStatus < 600
    ? facts.innerStatus
    : undefined
}

const evidenceOf = (facts: Facts): Evidence => {
  const status = facts.status
  if (status === undefined || status < 300) return "Uncertain"
  if (status < 500) return uncertainStatuses.has(status) ? "Uncertain" : "Refused"
  return facts.isOwn && ErrorTable.refusingStatuses.has(status) && !hasLostUpstream(facts) ? "Refused" : "Uncertain"
}

const isLimit = (kind: ErrorTable.ErrorKind): boolean => kind === "RateLimited" || kind === "QuotaExceeded"

/** Statuses in a body that say that a limit kept the request from being taken. */
const limitStatuses: ReadonlySet<number> = new Set([402, 429])

/** Statuses of a 4xx that do not say whether the request was taken: a timeout, and a client that has gone. */
const uncertainStatuses: ReadonlySet<number> = new Set([408, 499])

const hasLostUpstream = ({ signals, text }: Facts): boolean =>
  signals.some((signal) => ErrorTable.lostUpstreamSignals.has(signal)) ||
  ErrorTexts.lostUpstream.some((words) => text.includes(words))

const byCode = (
  facts: Facts,
  status: number | undefined
): { readonly kind: ErrorTable.ErrorKind; readonly inferred: boolean } | undefined => {
  const kind = find(facts.signals, (signal) =>
    // A limit of the end-user id's length is none of the context's.
    signal === "string_above_max_length" && facts.param === "user"
      ? "InvalidRequest"
      : ErrorTable.signalsAtStatus.get(`${signal} ${status}`) ?? ErrorTable.signals.get(signal))
  if (kind === undefined) return undefined
  const refined = kind === "RateLimited" && exceedsLimit(facts.text)
    ? "InvalidRequest"
    : byText(ErrorTexts.refinements.get(kind) ?? [], facts)
  return { kind: refined ?? kind, inferred: refined !== undefined }
}

// "Limit 1, Requested 30": no window will ever hold it.
const exceedsLimit = (text: string): boolean => {
  const numbers = /\blimit:? (\d{1,15})\b[^\d]{1,20}\brequested:? (\d{1,15})\b/.exec(text)
  return numbers !== null && Number(numbers[2]) > Number(numbers[1])
}

const byText = (
  rules: ReadonlyArray<Omit<ErrorTexts.TextRule, "statuses">>,
  { signals, text }: Facts
): ErrorTable.ErrorKind | undefined =>
  text === ""
    ? undefined
    : rules.find(({ texts, unless = [] }) =>
      texts.some((pattern) => contains(text, pattern)) &&
      !unless.some((pattern) => contains(text, pattern) || signals.includes(pattern))
    )?.kind

const contains = (text: string, pattern: string): boolean => {
  let from = 0
  for (const part of pattern.split("*")) {
    const at = text.indexOf(part, from)
    if (at < 0) return false
    from = at + part.length
  }
  return true
}

const byStatus = (facts: Facts, status: number): ErrorTable.ErrorKind => {
  const known = ErrorTable.statuses.get(status)
  const verdict = facts.header("x-should-retry")
  if (known === undefined && status >= 400 && status < 500) {
    return verdict === "true" ? "InvalidResponse" : "InvalidRequest"
  }
  const kind = known ?? (status >= 500 && status < 600
    ? "ServerError"
    : status >= 300 && status < 400
    ? "InvalidRequest"
    : "InvalidResponse")
  if (verdict !== "false" || !ErrorTable.isRetryable(kind)) return kind
  return kind === "RateLimited" ? "QuotaExceeded" : "InvalidRequest"
}

const transportRules: ReadonlyArray<
  (links: ReadonlyArray<Link>) => TransportTable.TransportRule | undefined
> = [
  (links) => find(links, byMessage),
  (links) =>
    links.some((link) => TransportTable.connecting.has(link.syscall ?? ""))
      ? { kind: "Network", evidence: "NotSent" }
      : undefined,
  (links) => find(links, byTransportCode),
  (links) => find(links, byName)
]

// A SyntaxError quotes the answer that could not be read.
const byMessage = (link: Link): TransportTable.TransportRule | undefined => {
  if (link.names.includes("SyntaxError")) return undefined
  const message = (link.message ?? "").slice(0, 1000).toLowerCase()
  return TransportTable.messages.find(([pattern]) => message.includes(pattern))?.[1]
}

const byTransportCode = (link: Link): TransportTable.TransportRule | undefined => {
  const code = link.code
  if (code === undefined) return undefined
  return TransportTable.codes.get(code) ?? TransportTable.codePrefixes.find(([prefix]) => code.startsWith(prefix))?.[1]
}

const byName = (link: Link): TransportTable.TransportRule | undefined => {
  if (TransportTable.fetchMessages.has((link.message ?? "").toLowerCase())) {
    return { kind: "Network", evidence: "Uncertain" }
  }
  return find(link.names, (name) => TransportTable.names.get(name))
}

const find = <A, B>(items: ReadonlyArray<A>, f: (item: A) => B | undefined): B | undefined => {
  for (const item of items) {
    const found = f(item)
    if (found !== undefined) return found
  }
  return undefined
}
