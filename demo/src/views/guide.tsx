import { play, playing } from '../player'
import { STORIES, type Story } from '../stories'

/** Stories to follow by hand, or to watch. */
export function Guide() {
  return (
    <aside class="guide" aria-labelledby="try">
      <h2 id="try">Try this</h2>
      {STORIES.map((story, place) => (
        <StoryView key={story.title} story={story} isFirst={place === 0} />
      ))}
    </aside>
  )
}

function StoryView({ story, isFirst }: { story: Story; isFirst: boolean }) {
  const step = playing.value?.story === story ? playing.value.step : -1
  return (
    <details class="story" name="story" open={isFirst} data-playing={step >= 0}>
      <summary>{story.title}</summary>
      <ol>
        {story.steps.map(({ say }, index) => (
          <li key={index} aria-current={index === step ? 'step' : undefined}>
            {say}
          </li>
        ))}
      </ol>
      <button
        type="button"
        class="plain"
        aria-label={`Show me: ${story.title}`}
        onClick={() => void play(story)}
      >
        Show me
      </button>
    </details>
  )
}
