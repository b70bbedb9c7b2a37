// Plays a story step by step, and says where it is.
import { signal } from '@preact/signals'
import { WentWrong } from './hands'
import { Stage } from './stage'
import type { Story } from './stories'

/** `end`: it went as told, or the sentence that says what did not. */
export type Playing = { story: Story; step: number; end: string | null }

export const playing = signal<Playing | null>(null)
let current = new AbortController()

/** Play it from the beginning; another one stops. */
export async function play(story: Story): Promise<void> {
  stop()
  const { signal: stopped } = (current = new AbortController())
  const stage = new Stage(stopped)
  try {
    for (const [step, { act }] of story.steps.entries()) {
      playing.value = { story, step, end: null }
      await act(stage)
    }
    tell(story, 'As told.')
  } catch (error) {
    if (stopped.aborted) return
    const what = error instanceof WentWrong ? error.message : String(error)
    tell(story, `Not as told: ${what}`)
  }
}

/** The story ends where it is. */
export function stop(): void {
  current.abort()
  playing.value = null
}

function tell(story: Story, end: string): void {
  const step = playing.value?.step ?? story.steps.length - 1
  playing.value = { story, step, end }
}
