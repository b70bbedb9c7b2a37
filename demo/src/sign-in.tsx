import { render } from 'preact'
import './style'
import { broughtBack, localGoogle } from './google'
import { alone } from './tabs'
import { Message } from './views/message'
import { Ways } from './views/ways'
import { Visitor } from './visitor'

const page = document.getElementById('page') as HTMLElement

async function start(): Promise<void> {
  const waiting = 'The demo is open in another tab. Close that one, and it goes on here.'
  const isSecure = await alone(() => render(<Message text={waiting} />, page))
  if (!isSecure) {
    render(<Message text="Open the demo as 127.0.0.1 or localhost, or by https." />, page)
    return
  }
  const google = await localGoogle()
  const visitor = new Visitor()
  render(<Ways visitor={visitor} google={google} />, page)
  await visitor.open(() => broughtBack(google))
}

void start()
