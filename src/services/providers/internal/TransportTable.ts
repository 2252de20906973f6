/**
 * What the codes and words of Node, undici and the SDKs come to, as data: a
 * failure without an answer.
 *
 * @since 0.1.0
 */
import type { Evidence } from "../../../errors/ProviderError.ts"
import type { ErrorKind } from "./ErrorTable.ts"

/**
 * What a failure without an answer comes to.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportRule {
  readonly kind: ErrorKind
  readonly evidence: Evidence
}

const rule = (kind: ErrorKind, evidence: Evidence): TransportRule => ({ kind, evidence })

const unreached = rule("Network", "NotSent")
const cut = rule("Network", "Uncertain")
const certificate = rule("Certificate", "NotSent")
const unsendable = rule("InvalidRequest", "NotSent")
const unreadable = rule("InvalidResponse", "Uncertain")

const rows = (...table: ReadonlyArray<readonly [TransportRule, string]>): ReadonlyMap<string, TransportRule> =>
  new Map(table.flatMap(([row, codes]) => codes.trim().split(/\s+/).map((code) => [code, row] as const)))

/**
 * Error codes, exactly as they are thrown.
 *
 * **Source**
 *
 * Node, "Errors", common system errors and OpenSSL error codes; undici,
 * "Errors".
 *
 * @category models
 * @since 0.1.0
 */
export const codes: ReadonlyMap<string, TransportRule> = rows(
  [
    unreached,
    `ENOTFOUND EAI_AGAIN EAI_FAIL EAI_NODATA EAI_NONAME ECONNREFUSED EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN
    EADDRNOTAVAIL EADDRINUSE EMFILE ENFILE ENOBUFS UND_ERR_CONNECT_TIMEOUT UND_ERR_PRX_TLS
    ERR_TLS_HANDSHAKE_TIMEOUT ERR_SSL_WRONG_VERSION_NUMBER ERR_SSL_UNSUPPORTED_PROTOCOL
    ERR_SSL_PACKET_LENGTH_TOO_LONG ERR_SSL_NO_PROTOCOLS_AVAILABLE ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION
    ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE ERR_SSL_TLSV1_UNRECOGNIZED_NAME
    ERR_SSL_TLSV1_ALERT_UNKNOWN_CA ERR_SSL_VERSION_TOO_LOW ERR_SSL_NO_SHARED_CIPHER`
  ],
  [
    cut,
    `ECONNRESET ECONNABORTED EPIPE ETIMEDOUT ESOCKETTIMEDOUT EPROTO ENOTCONN ECANCELED ABORT_ERR ERR_CANCELED
    UND_ERR_SOCKET UND_ERR_HEADERS_TIMEOUT UND_ERR_BODY_TIMEOUT UND_ERR_ABORTED UND_ERR_CLOSED UND_ERR_DESTROYED
    UND_ERR_INFO UND_ERR_ABORT ERR_STREAM_PREMATURE_CLOSE ERR_STREAM_DESTROYED ERR_HTTP2_STREAM_ERROR
    ERR_HTTP2_SESSION_ERROR ERR_HTTP2_GOAWAY_SESSION ERR_HTTP2_STREAM_CANCEL ERR_HTTP2_INVALID_SESSION`
  ],
  [
    certificate,
    `CERT_HAS_EXPIRED CERT_NOT_YET_VALID CERT_REVOKED CERT_UNTRUSTED CERT_REJECTED CERT_SIGNATURE_FAILURE
    CERT_CHAIN_TOO_LONG UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    UNABLE_TO_GET_CRL UNABLE_TO_DECRYPT_CERT_SIGNATURE SELF_SIGNED_CERT_IN_CHAIN DEPTH_ZERO_SELF_SIGNED_CERT
    ERR_TLS_CERT_ALTNAME_INVALID ERR_TLS_CERT_ALTNAME_FORMAT HOSTNAME_MISMATCH INVALID_CA INVALID_PURPOSE
    PATH_LENGTH_EXCEEDED ERR_SSL_CERTIFICATE_VERIFY_FAILED`
  ],
  [
    unsendable,
    `ERR_INVALID_URL ERR_INVALID_CHAR ERR_INVALID_HTTP_TOKEN ERR_INVALID_ARG_TYPE ERR_INVALID_ARG_VALUE
    ERR_UNESCAPED_CHARACTERS ERR_INVALID_PROTOCOL UND_ERR_INVALID_ARG UND_ERR_NOT_SUPPORTED
    UND_ERR_REQ_CONTENT_LENGTH_MISMATCH ENOENT EACCES EPERM EISDIR ENOTDIR ENAMETOOLONG ELOOP`
  ],
  [
    unreadable,
    `UND_ERR_RES_CONTENT_LENGTH_MISMATCH UND_ERR_RES_EXCEEDED_MAX_SIZE UND_ERR_HEADERS_OVERFLOW UND_ERR_RESPONSE
    Z_DATA_ERROR Z_BUF_ERROR Z_STREAM_ERROR ERR_BROTLI_DECODER_ERROR ERR_ENCODING_INVALID_ENCODED_DATA
    ERR_STRING_TOO_LONG`
  ]
)

/**
 * Beginnings of error codes, for the families that are open.
 *
 * @category models
 * @since 0.1.0
 */
export const codePrefixes: ReadonlyArray<readonly [string, TransportRule]> = [
  ["HPE_", unreadable],
  ["CERT_", certificate],
  ["UND_ERR_", cut],
  ["ERR_SSL_", cut],
  ["ERR_HTTP2_", cut]
]

/**
 * System calls that come before anything is sent.
 *
 * @category models
 * @since 0.1.0
 */
export const connecting: ReadonlySet<string> = new Set(["connect", "getaddrinfo", "queryA", "queryAaaa", "bind"])

/**
 * Fixed messages of Node, undici and the SDKs, in lower case, for errors that
 * carry no code, or one that says less. Tried in order, before the codes.
 *
 * **Source**
 *
 * openai 7.57 and @anthropic-ai/sdk 1.12, `client.ts`; undici 8.12, fetch.
 *
 * @category models
 * @since 0.1.0
 */
export const messages: ReadonlyArray<readonly [string, TransportRule]> = [
  ["before secure tls connection was established", unreached],
  ["missing credentials", rule("AuthenticationFailed", "NotSent")],
  ["could not resolve authentication method", rule("AuthenticationFailed", "NotSent")],
  ["the `apikey` function failed", rule("AuthenticationFailed", "NotSent")],
  ["streaming is required for operations that may take longer", unsendable],
  ["pass at most one of", unsendable],
  ["is an invalid header value", unsendable],
  ["is an invalid header name", unsendable],
  ["failed to parse url from", unsendable],
  ["invalid url", unsendable],
  ["unknown scheme", unsendable],
  ["the url of a request may not", unsendable],
  ["the body of a request must be", unsendable],
  ["request ended without sending any chunks", unreadable],
  ["stream ended without producing", unreadable],
  ["unexpected event order", unreadable],
  ["malformed server-sent event", unreadable]
]

/**
 * The name of the cause that our own transport gives to a failure before
 * anything was written, whatever its code.
 *
 * @category models
 * @since 0.1.0
 */
export const notSent = "NotSent"

/**
 * Names of errors, after their codes.
 *
 * @category models
 * @since 0.1.0
 */
export const names: ReadonlyMap<string, TransportRule> = rows(
  [cut, "AbortError TimeoutError APIUserAbortError APIConnectionError APIConnectionTimeoutError"],
  [unreadable, "TypeError SyntaxError RangeError SchemaError HTTPParserError"],
  [rule("ContentFiltered", "Uncertain"), "ContentFilterFinishReasonError"]
)

/**
 * Messages of fetch itself: a `TypeError` that is no mistake in reading an
 * answer.
 *
 * @category models
 * @since 0.1.0
 */
export const fetchMessages: ReadonlySet<string> = new Set([
  "fetch failed",
  "terminated",
  "failed to fetch",
  "load failed"
])
