import { startAfresh, type Pair } from '../pair'
import { Guide } from './guide'
import { Caption } from './caption'
import { PhoneView } from './phone'
import { WireView } from './wire'

export function App({ pair }: { pair: Pair }) {
  const phones = [pair.a, pair.b]
  return (
    <>
      <header class="top">
        <img src="/demo/melon.svg" alt="" width="32" height="32" />
        <div>
          <h1>Two phones, one list</h1>
          <p>Each is a WatermelonDB of its own. Edit both, cut one off, sync.</p>
        </div>
        <button
          type="button"
          class="plain"
          data-act="afresh"
          onClick={() => void startAfresh(pair).catch(pair.a.complain)}
        >
          Start afresh
        </button>
      </header>
      <main class="stage">
        <div class="phones">
          {phones.map((phone) => (
            <section class="column" key={phone.key} aria-label={phone.name}>
              <PhoneView phone={phone} />
              <WireView wire={phone.wire} />
            </section>
          ))}
        </div>
        <Guide />
      </main>
      <Caption />
    </>
  )
}
