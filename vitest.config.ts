import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: {
    alias: [
      { find: /^holdfast$/, replacement: fileURLToPath(new URL("src/index.ts", import.meta.url)) },
      { find: /^holdfast\/testing$/, replacement: fileURLToPath(new URL("src/testing/index.ts", import.meta.url)) }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    // Many tests wait for sockets and child processes: on two cores, one worker would leave one of them idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // A worker loads `effect` once, not once per file: no test leaves anything behind in its process.
    isolate: false,
    // Only for what hangs: a busy machine may take ten times as long for each test.
    testTimeout: 120_000,
    hookTimeout: 120_000
  }
})
