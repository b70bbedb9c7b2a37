import { useState, useSyncExternalStore, type FormEvent } from 'react'
import type { App, List } from './core/app'
import { fetching } from './core/words'

export function Screen({ app }: { app: App }) {
  const state = useSyncExternalStore(app.subscribe, () => app.state)
  const { isReady, email, others, lists, firstSync, isOffline, message } = state
  if (!isReady) return <p>Opening …</p>
  return (
    <>
      {isOffline && <p className="banner">Offline. What you write waits on this phone.</p>}
      {message !== null && (
        <p className="error" role="alert">
          {message}
        </p>
      )}
      {firstSync !== null && (
        <p>
          <progress aria-label="First sync" /> {fetching(firstSync)}
        </p>
      )}
      {email === null ? <SignIn app={app} /> : lists.map((list) => <ListView key={list.id} app={app} list={list} />)}
      {email !== null && <Add hint="New list" onAdd={app.addList} />}
      {others.map((one) => (
        <button key={one.slot} type="button" onClick={() => void app.switchTo(one.slot)}>
          Go on as {one.email}
        </button>
      ))}
      {email !== null && <SignOut key={email} app={app} email={email} />}
    </>
  )
}

function SignIn({ app }: { app: App }) {
  const enter = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const how = (event.nativeEvent as SubmitEvent).submitter?.getAttribute('value') === 'register'
    const [email, password] = [String(form.get('email')), String(form.get('password'))]
    void app.enter(how ? 'register' : 'login', { email, password })
  }
  return (
    <form onSubmit={enter}>
      <input name="email" placeholder="E-mail" autoComplete="username" />
      <input name="password" placeholder="Password" type="password" autoComplete="current-password" />
      <button value="login">Sign in</button>
      <button value="register">Make an account</button>
    </form>
  )
}

function ListView({ app, list }: { app: App; list: List }) {
  return (
    <section aria-label={list.name}>
      <h2>{list.name}</h2>
      <ul>
        {list.tasks.map(({ id, title, isCompleted, isUnsynced }) => (
          <li key={id}>
            <label>
              <input type="checkbox" checked={isCompleted} onChange={() => void app.tick(id, !isCompleted)} /> {title}
            </label>
            {isUnsynced && <span className="mark">on this phone</span>}
          </li>
        ))}
      </ul>
      <Add hint={`Add to ${list.name}`} onAdd={(title) => app.addTask(list.id, title)} />
    </section>
  )
}

function Add({ hint, onAdd }: { hint: string; onAdd: (text: string) => Promise<void> }) {
  const add = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget).get('text')).trim()
    event.currentTarget.reset()
    if (text) void onAdd(text)
  }
  return (
    <form onSubmit={add}>
      <input name="text" placeholder={hint} />
      <button>Add</button>
    </form>
  )
}

/** Nobody loses what was not uploaded without having been asked. */
function SignOut({ app, email }: { app: App; email: string }) {
  const [isAsking, setIsAsking] = useState(false)
  const leave = async () => ((await app.hasUnsynced()) ? setIsAsking(true) : app.leave(false))
  if (!isAsking) {
    return (
      <p>
        <button onClick={() => void app.switchTo(null)}>Somebody else</button>{' '}
        <button onClick={() => void leave()}>Sign out {email}</button>
      </p>
    )
  }
  return (
    <div role="alertdialog" aria-label="Sign out">
      <p>Not everything is saved everywhere yet. Signed out, what is on this phone alone would be lost.</p>
      <button onClick={() => setIsAsking(false)}>Stay</button>{' '}
      <button onClick={() => void app.leave(true)}>Sign out, keep it here</button>{' '}
      <button onClick={() => void app.leave(false)}>Sign out, delete it</button>
    </div>
  )
}
