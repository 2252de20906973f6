/**
 * Follows the text of a JSON object or array, to know when it is complete.
 */

/** How far the text of a JSON value has come. Each character is looked at once. */
export class JsonProgress {
  #depth = 0
  #hasBegun = false
  #isInText = false
  #isEscaped = false
  #isEmpty = true

  /** Whether no text has come. */
  get isEmpty(): boolean {
    return this.#isEmpty
  }

  /** Whether the value has begun and has not ended. */
  get isOpen(): boolean {
    return this.#depth > 0
  }

  /** Whether the value has ended. */
  get isComplete(): boolean {
    return this.#hasBegun && this.#depth === 0
  }

  /** Adds a piece of the text. */
  add(piece: string): void {
    if (piece !== "") this.#isEmpty = false
    for (let at = 0; at < piece.length; at++) {
      if (this.#isInText) this.#takeInText(piece.charCodeAt(at))
      else this.#take(piece[at])
    }
  }

  #takeInText(code: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (code === 92) this.#isEscaped = true
    else if (code === 34) this.#isInText = false
  }

  #take(character: string | undefined): void {
    switch (character) {
      case "{":
      case "[":
        this.#hasBegun = true
        this.#depth++
        break
      case "}":
      case "]":
        this.#depth--
        break
      case "\"":
        this.#isInText = true
    }
  }
}
