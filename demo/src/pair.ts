// The two phones of one account: their first visit, and how to begin anew.
import { ownAccount } from './account'
import { Phone } from './phone'

const PREFIX = 'melon-demo'
const STARTED = `${PREFIX}-has-started`
const FIRST_TASKS = ['Milk', 'Bread', 'Apples']

export type Pair = { a: Phone; b: Phone }

/** Both phones, with what they held before a reload; at the first visit with a list to look at. */
export function openPair(): Pair {
  const account = ownAccount()
  const a = new Phone('Phone A', `${PREFIX}-a`, account)
  const b = new Phone('Phone B', `${PREFIX}-b`, account)
  if (localStorage.getItem(STARTED) === null) void begin(a, b).catch(a.complain)
  return { a, b }
}

/** One phone makes the list, the other gets it: two lists of the same name would be two. */
async function begin(a: Phone, b: Phone): Promise<void> {
  if (!(await a.store.hasList())) await a.store.createList('Groceries', FIRST_TASKS)
  localStorage.setItem(STARTED, 'yes')
  await a.sync()
  await b.sync()
}

/** Empty both phones and forget the account; what was not synced is gone. */
export async function startAfresh({ a, b }: Pair): Promise<void> {
  for (const phone of [a, b]) {
    phone.isAuto.value = false
    await phone.store.empty()
  }
  const ours = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX))
  for (const key of ours) localStorage.removeItem(key)
  location.reload()
}
