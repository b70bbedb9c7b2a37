// Pressing and typing on the page as a visitor does, slowly enough to be watched.

const PATIENCE_MS = 30_000
const LOOK_MS = 30
/** How long a hand rests on what it is about to press; `?pace=` (ms) hurries it. */
const PACE_MS = Number(new URLSearchParams(location.search).get('pace') ?? 700)
const TOUCHED = 'touched' // the style of what a hand rests on

/** The story did not go as told; the message says where. */
export class WentWrong extends Error {}

/** Press it. Throws the signal's reason once `stop` is aborted, as all of these do. */
export async function press(element: HTMLElement, stop: AbortSignal): Promise<void> {
  await rest(element, stop)
  element.click()
}

/** Put this text in the place of what is there. */
export async function write(field: HTMLInputElement, text: string, stop: AbortSignal) {
  await rest(field, stop)
  field.focus({ preventScroll: true })
  field.value = text
  field.dispatchEvent(new InputEvent('input', { bubbles: true }))
}

/** Wait for something. Throws WentWrong when it does not come. */
export async function until(isThere: () => boolean, what: string, stop: AbortSignal) {
  const deadline = performance.now() + PATIENCE_MS
  while (!isThere()) {
    if (performance.now() > deadline) throw new WentWrong(`It never came: ${what}.`)
    await pause(LOOK_MS, stop)
  }
}

async function rest(element: HTMLElement, stop: AbortSignal): Promise<void> {
  element.scrollIntoView({ block: 'nearest', inline: 'center' })
  element.classList.add(TOUCHED)
  try {
    await pause(PACE_MS, stop)
  } finally {
    element.classList.remove(TOUCHED)
  }
}

async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
  stop.throwIfAborted()
}
