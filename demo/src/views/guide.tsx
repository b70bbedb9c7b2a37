import { play, playing } from '../player'
import { STORIES, type Story } from '../stories'

/** Stories to follow by hand, or to watch. */
export function Guide() {
  return (
    <aside class="guide" aria-labelledby="try">
      <h2 id="try">Try this</h2>
      {STORIES.map((story) => (
        <StoryView key={story.title} story={story} />
      ))}
    </aside>
  )
}

function StoryView({ story }: { story: Story }) {
  const step = playing.value?.story === story ? playing.value.step : -1
  return (
    <section class="story" data-playing={step >= 0}>
      <h3>{story.title}</h3>
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
    </section>
  )
}
