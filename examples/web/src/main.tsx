import { createRoot } from 'react-dom/client'
import { App } from './core/app'
import { platform } from './platform'
import { Screen } from './screen'

const page = createRoot(document.getElementById('page') as HTMLElement)

/** One tab at a time: two would write over each other's database. */
function start(): Promise<never> {
  const app = new App(platform)
  page.render(<Screen app={app} />)
  for (const event of ['online', 'focus']) addEventListener(event, () => void app.sync())
  void app.resume()
  return new Promise(() => {})
}

page.render(<p>The lists are open in another tab.</p>)
void navigator.locks.request('melon-lists', start)
