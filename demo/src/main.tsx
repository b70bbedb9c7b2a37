import { render } from 'preact'
import './style'
import { openPair } from './pair'
import { alone } from './tabs'
import { App } from './views/app'
import { Message } from './views/message'

const page = document.getElementById('page') as HTMLElement

async function start(): Promise<void> {
  const isSecure = await alone(() =>
    render(
      <Message text="The demo is open in another tab. Close that one, and it goes on here." />,
      page,
    ),
  )
  if (isSecure) render(<App pair={openPair()} />, page)
  else render(<Message text="Open the demo as 127.0.0.1 or localhost, or by https." />, page)
}

void start()
