import { startAfresh, type Pair } from '../pair'
import { Guide } from './guide'
import { Caption } from './caption'
import { People } from './people'
import { PhoneView } from './phone'
import { Switch } from './switch'
import { WireView } from './wire'

const NONE_YET = 'This phone has no list yet: sync to fetch it.'
const NONE_SHARED = 'No list is shared with this phone.'

export function App({ pair }: { pair: Pair }) {
  const { arePeople, sharing } = pair
  const phones = [pair.a, arePeople.value ? pair.other : pair.b]
  return (
    <>
      <header class="top">
        <img src="/demo/melon.svg" alt="" width="32" height="32" />
        <div>
          <h1>Two phones, one list</h1>
          <p>Each is a WatermelonDB of its own. Edit both, cut one off, sync.</p>
        </div>
        <a class="plain" href="/demo/sign-in.html">
          Ways to sign in
        </a>
        <Switch
          act="people"
          label="Two people"
          title="Phone B is somebody else’s: share the list with it"
          value={arePeople}
        />
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
              <PhoneView phone={phone} none={phone === pair.other ? NONE_SHARED : NONE_YET}>
                {arePeople.value && <People sharing={sharing} isOwner={phone === pair.a} />}
              </PhoneView>
              <WireView phone={phone} />
            </section>
          ))}
        </div>
        <Guide />
      </main>
      <Caption />
    </>
  )
}
