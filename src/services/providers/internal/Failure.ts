/**
 * The failures that adapters find out by themselves; what a provider says is
 * classified instead.
 *
 * @since 0.1.0
 */
import { ProviderError } from "../../../errors/ProviderError.ts"
import { type NonRetryableReason, ResponseTooLarge, type RetryableReason } from "../../../errors/Reason.ts"
import type { Outcome } from "../../Provider.ts"
import { maxBodyBytes } from "./BodyLimits.ts"

/**
 * Returns the error of a request that was not sent, and that cannot be sent as
 * it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const notSent = (reason: NonRetryableReason): ProviderError =>
  new ProviderError({ verdict: { _tag: "NonRetryable", reason }, evidence: "NotSent" })

/**
 * Returns the error of a request that the provider may have taken, and whose
 * answer is of no use.
 *
 * @category constructors
 * @since 0.1.0
 */
export const uncertain = (reason: RetryableReason): ProviderError =>
  new ProviderError({ verdict: { _tag: "Retryable", reason }, evidence: "Uncertain" })

/**
 * Returns the error of a response that is longer than what is read. To ask again would only cost the same again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tooLarge = ({ provider }: { readonly provider: string }): ProviderError =>
  new ProviderError({
    verdict: {
      _tag: "NonRetryable",
      reason: new ResponseTooLarge({
        provider,
        limit: maxBodyBytes,
        message: `The response is longer than ${maxBodyBytes / 1024 / 1024} MiB`
      })
    },
    evidence: "Uncertain"
  })

/**
 * Returns the end of a request that the provider has taken, and that no retry
 * cures.
 *
 * @category constructors
 * @since 0.1.0
 */
export const final = (reason: NonRetryableReason): Outcome => ({
  _tag: "Failed",
  verdict: { _tag: "NonRetryable", reason }
})
