#!/usr/bin/env node
/**
 * The entry of the `holdfast` command. It imports nothing but `node:module`, so that a Node that is too old, or a
 * package that is missing, is told in words.
 *
 * @since 0.1.0
 */
import * as Module from "node:module"

const refuse = (message: string): void => {
  process.stderr.write(`Error: ${message}\n`)
  process.exitCode = 1
}

const isMissing = (error: unknown, name: string): boolean =>
  error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND" && error.message.includes(name)

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major < 22 || (major === 22 && minor < 19)) {
  refuse(`holdfast needs Node 22.19 or newer, and this is Node ${process.versions.node}`)
} else {
  Module.enableCompileCache()
  try {
    await import("./Process.ts")
  } catch (error) {
    if (!isMissing(error, "'@effect/platform-node'")) throw error
    refuse("holdfast needs a package that is not installed:  npm install @effect/platform-node")
  }
}
