/**
 * How much of a response is read, and for how long.
 */

/** The longest body of a 2xx and the longest single event, in bytes after decompression: 64 MiB. */
export const maxBodyBytes = 64 * 1024 * 1024

/** How much of an error's body is read, in bytes after decompression: 1 MiB. The status decides without the rest. */
export const maxErrorBytes = 1024 * 1024

/** For how long an error's body is read, in milliseconds. */
export const maxErrorMillis = 10_000

/** A body that may be whole is not waited for when nothing more arrives for this long, in milliseconds. */
export const quietMillis = 1000
