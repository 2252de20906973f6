/**
 * Histories that once broke a rule, as short as they could be made.
 */
import type { Example } from "./Runs.ts"

export const examples: ReadonlyArray<Example> = [
  {
    title: "journal and cancel a job whose id comes after another one has settled the session",
    setting: { isBold: true },
    actions: [
      { do: "meet", process: 0, at: "append Accepted", when: "before", effect: 90 },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "execute", process: 1, key: "k0", variant: "A" },
      { do: "pass", seconds: 20 },
      { do: "job", job: 1, to: "completed" },
      { do: "pass", seconds: 200 }
    ]
  },
  {
    title: "give a caller the settled end although its own poll found another one later",
    actions: [
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "polls", mode: "network" },
      { do: "pass", seconds: 2000 },
      { do: "cancel", process: 1, key: "k0" },
      { do: "vanish", job: 0 },
      { do: "polls", mode: "fine" },
      { do: "pass", seconds: 20 }
    ]
  },
  {
    title: "keep two processes from sending twice when one is slow between its claim and its request",
    setting: { lookup: "truthful" },
    actions: [
      { do: "meet", process: 0, at: "append Submitting", when: "after", effect: 90 },
      { do: "execute", process: 0, key: "k1", variant: "A" },
      { do: "execute", process: 1, key: "k1", variant: "A" }
    ]
  },
  {
    title: "end with a status that nobody knows, told by the answer to a cancel",
    actions: [
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "cancels", mode: "ignored" },
      { do: "cancel", process: 0, key: "k0" },
      { do: "job", job: 0, to: "odd" },
      { do: "execute", process: 1, key: "k0", variant: "A" }
    ]
  },
  {
    title: "end an adopt whose provider does not answer",
    actions: [
      { do: "submits", mode: "drop" },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "polls", mode: "hang" },
      { do: "adopt", process: 1, key: "k0", job: "unknown" },
      { do: "pass", seconds: 400 }
    ]
  },
  {
    title: "journal the submission's own job although another one was adopted before the answer",
    actions: [
      { do: "execute", process: 0, key: "k1", variant: "A" },
      { do: "meet", process: 1, at: "submit", when: "before", effect: 2 },
      { do: "execute", process: 1, key: "k0", variant: "A" },
      { do: "adopt", process: 0, key: "k0", job: "other" },
      { do: "pass", seconds: 1 }
    ]
  },
  {
    title: "give a forgotten key to another request although its old run goes on",
    actions: [
      { do: "execute", process: 0, key: "k0", variant: "B" },
      { do: "forget", process: 0, key: "k0", force: true },
      { do: "execute", process: 1, key: "k0", variant: "A" },
      { do: "execute", process: 0, key: "k0", variant: "A" }
    ]
  },
  {
    title: "give nothing of a forgotten session to who comes later",
    actions: [
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "forget", process: 1, key: "k0", force: true },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "job", job: 0, to: "completed" },
      { do: "pass", seconds: 10 }
    ]
  },
  {
    title: "give no answer that is being fetched again to who comes after its session was removed",
    actions: [
      { do: "submits", mode: "answer" },
      { do: "polls", mode: "hang" },
      { do: "execute", process: 0, key: "k0", variant: "A", journal: "ids-only" },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "forget", process: 0, key: "k0", force: false },
      { do: "execute", process: 0, key: "k0", variant: "A" }
    ]
  },
  {
    title: "do not take a request for another one because a run that lost the key is still slow",
    actions: [
      { do: "meet", process: 0, at: "append Prepared", when: "before", effect: 90 },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "execute", process: 1, key: "k0", variant: "B" },
      { do: "execute", process: 0, key: "k0", variant: "B" }
    ]
  },
  {
    title: "give no request the answer of another one through a resume that waits",
    actions: [
      { do: "jump", process: 0, minutes: 60 },
      { do: "submits", mode: "drop" },
      { do: "execute", process: 1, key: "k0", variant: "A", onUncertainSubmit: "resubmit" },
      { do: "resume", process: 0, key: "k0", deadline: 30 },
      { do: "prune", process: 0, minutes: 0, all: true },
      { do: "execute", process: 0, key: "k0", variant: "B" },
      { do: "pass", seconds: 1 }
    ]
  },
  {
    title: "write an acceptance that two lookups find once",
    setting: { lookup: "truthful" },
    actions: [
      { do: "submits", mode: "hold" },
      { do: "execute", process: 0, key: "k0", variant: "A", submitTimeout: 10 },
      { do: "recover", process: 1 },
      { do: "meet", process: 1, at: "find", when: "before", effect: 90 },
      { do: "pass", seconds: 10 }
    ]
  },
  {
    title: "cancel a job that is adopted when the session has another one",
    setting: { isBold: true },
    actions: [
      { do: "submits", mode: "lose" },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "pass", seconds: 1 },
      { do: "adopt", process: 0, key: "k0", job: "right" }
    ]
  },
  {
    title: "cancel a surplus job whose sender died before it could",
    setting: { isBold: true },
    actions: [
      { do: "meet", process: 0, at: "append Accepted", when: "before", effect: 90 },
      { do: "meet", process: 0, at: "append CancelRequested", when: "before", effect: "crash" },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "execute", process: 1, key: "k0", variant: "A" },
      { do: "pass", seconds: 20 },
      { do: "job", job: 1, to: "completed" },
      { do: "pass", seconds: 200 }
    ]
  },
  {
    title: "tell nothing of a surplus job to those who watch the session's own",
    setting: { isBold: true },
    actions: [
      { do: "meet", process: 0, at: "append Accepted", when: "before", effect: 20 },
      { do: "stream", process: 0, key: "k0", variant: "A" },
      { do: "stream", process: 1, key: "k0", variant: "A" },
      { do: "pass", seconds: 15 },
      { do: "write", job: 0, pieces: 4 },
      { do: "pass", seconds: 10 },
      { do: "write", job: 1, pieces: 3 },
      { do: "pass", seconds: 70 }
    ]
  },
  {
    title: "tell nothing of a surplus job whose submission was given another one",
    actions: [
      { do: "execute", process: 0, key: "k1", variant: "A" },
      { do: "meet", process: 0, at: "submit", when: "before", effect: 2 },
      { do: "stream", process: 0, key: "k0", variant: "A" },
      { do: "cancels", mode: "late" },
      { do: "adopt", process: 0, key: "k0", job: "other" },
      { do: "pass", seconds: 20 }
    ]
  },
  {
    title: "do not settle a session by a job that another process has found to have failed",
    actions: [
      { do: "stream", process: 1, key: "k1", variant: "A" },
      { do: "execute", process: 0, key: "k1", variant: "A" },
      { do: "pass", seconds: 2000 },
      { do: "vanish", job: 0 },
      { do: "job", job: 0, to: "failed" },
      { do: "execute", process: 0, key: "k0", variant: "A" }
    ]
  },
  {
    title: "tell a caller that its job is gone although its session was removed before the job was journaled",
    actions: [
      { do: "meet", process: 2, at: "append Accepted", when: "before", effect: 2 },
      { do: "execute", process: 2, key: "k0", variant: "A" },
      { do: "forget", process: 0, key: "k0", force: true },
      { do: "vanish", job: 0 }
    ]
  },
  {
    title: "come to an end although what is left of a silence is less than the clock can count",
    actions: [
      { do: "meet", process: 1, at: "append Prepared", when: "before", effect: 90 },
      { do: "stream", process: 1, key: "k0", variant: "A" }
    ]
  },
  {
    title: "tell at its deadline what a caller with a fast clock found, while it could not be written",
    actions: [
      { do: "meet", process: 2, at: "append Settled", when: "before", effect: 90 },
      { do: "jump", process: 2, minutes: 60 },
      { do: "polls", mode: "missing" },
      { do: "execute", process: 0, key: "k1", variant: "B" },
      { do: "execute", process: 2, key: "k1", variant: "B", deadline: 30 },
      { do: "pass", seconds: 1 }
    ]
  },
  {
    title: "give a job to its uncertain submission although its webhook's sender does not wait",
    setting: { hooked: 1 },
    actions: [
      { do: "meet", process: 0, at: "append Accepted", when: "before", effect: 2 },
      { do: "submits", mode: "lose" },
      { do: "execute", process: 0, key: "k0", variant: "A" },
      { do: "webhook", process: 0, job: 0, isRepeated: false },
      { do: "interrupt", call: 0 }
    ]
  },
  {
    title: "give a job to its uncertain submission when its webhook comes",
    setting: { hooked: 1 },
    actions: [
      { do: "submits", mode: "lose" },
      { do: "execute", process: 1, key: "k0", variant: "A" },
      { do: "pass", seconds: 1 },
      { do: "job", job: 0, to: "completed" },
      { do: "webhook", process: 0, job: 0, isRepeated: true },
      { do: "pass", seconds: 10 },
      { do: "webhook", process: 0, job: 0, isRepeated: true }
    ]
  }
]
