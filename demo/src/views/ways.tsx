import type { User } from 'melon-sync/core'
import { leaveFor, type Provider } from '../google'
import type { Visitor } from '../visitor'
import { AddTask } from './add'
import { Dot } from './task'

type Props = { visitor: Visitor; google: Provider | null }

/** A phone that somebody may sign in on, or use without. */
export function Ways({ visitor, google }: Props) {
  return (
    <>
      <header class="top">
        <img src="/demo/melon.svg" alt="" width="32" height="32" />
        <div>
          <h1>Ways to sign in</h1>
          <p>One phone, with melon-sync. Its list is the account’s.</p>
        </div>
        <a class="plain" href="/demo/">
          Two phones
        </a>
      </header>
      <main class="stage">
        <article class="phone" aria-label="Phone" aria-busy={visitor.isBusy.value}>
          <Doors visitor={visitor} google={google} />
          <p class="notice" role="status" data-mood={visitor.notice.value.mood}>
            {visitor.notice.value.text}
          </p>
          {visitor.user.value && <Account user={visitor.user.value} />}
          <ul class="tasks" aria-label="Groceries" tabIndex={-1}>
            {visitor.rows.value.map(({ id, title, unsynced }) => (
              <li class="task" key={id} data-id={id}>
                <span class="words">{title}</span>
                <Dot unsynced={unsynced} />
              </li>
            ))}
            {visitor.rows.value.length === 0 && <li class="empty">There is no list here.</li>}
          </ul>
          <AddTask phone={visitor} />
        </article>
        <aside class="guide" aria-labelledby="try">
          <h2 id="try">Try this</h2>
          <ol class="steps">
            <li>Begin without an account: a guest, whose list the server has at once.</li>
            <li>Add a task, then sign in: the list comes along.</li>
            <li>Sign out: nothing is left here. Sign in again: it is back.</li>
          </ol>
          {google === null ? <NoGoogle /> : <InItsPlace issuer={google.issuer} />}
        </aside>
      </main>
    </>
  )
}

/** The ways that are open to whoever is here. */
function Doors({ visitor, google }: Props) {
  const user = visitor.user.value
  const isNobody = user === null || user.is_guest
  const isBusy = visitor.isBusy.value
  const leave = () => google && void leaveFor(google).catch(visitor.complain)
  return (
    <div class="tools doors">
      {isNobody && google && (
        <button type="button" class="main" disabled={isBusy} onClick={leave}>
          Sign in with Google
        </button>
      )}
      {user === null && (
        <button type="button" class="plain" disabled={isBusy} onClick={() => void visitor.begin()}>
          Begin without an account
        </button>
      )}
      {user !== null && (
        <button type="button" class="plain" disabled={isBusy} onClick={() => void visitor.signOut()}>
          Sign out
        </button>
      )}
    </div>
  )
}

/** As the server tells it. */
function Account({ user }: { user: User }) {
  const said = {
    id: user.id,
    email: user.email ?? 'none',
    email_verified: user.email_verified ? 'yes' : 'no',
    identities: user.identities.join(', ') || 'none',
    is_guest: user.is_guest ? 'yes' : 'no',
  }
  return (
    <dl class="account">
      {Object.entries(said).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd data-of={name}>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function InItsPlace({ issuer }: { issuer: string }) {
  return <p class="aside">Google is played by {issuer}, on this machine: be whoever you like there.</p>
}

function NoGoogle() {
  return (
    <p class="aside">
      Sign in with Google: <code>make demo</code> plays it on this machine, as long as{' '}
      <code>OIDC_GOOGLE_CLIENT_IDS</code> is not set.
    </p>
  )
}
