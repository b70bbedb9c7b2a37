import { playing, stop } from '../player'

/** The line below all: what the story that plays is doing. */
export function Caption() {
  const now = playing.value
  const { story, step, end } = now ?? { story: null, step: 0, end: null }
  return (
    <footer class="caption" hidden={now === null}>
      <p role="status" data-end={end}>
        {story && <b>{`${step + 1}/${story.steps.length}`}</b>} {story?.steps[step]?.say}{' '}
        {end && <strong>{end}</strong>}
      </p>
      <button type="button" class="plain" data-act="stop" onClick={stop}>
        {end ? 'Close' : 'Stop'}
      </button>
    </footer>
  )
}
