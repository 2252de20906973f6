/**
 * `npm start`: shows what Holdfast promises, without a key. With arguments
 * (`npm start -- run …`) it is the `holdfast` command.
 */
if (process.argv.length > 2) {
  process.env["HOLDFAST_COMMAND"] ??= "npm start --"
  await import("../src/cli/bin.ts")
} else {
  await import("./demo/main.ts")
}
