// The two phones: of one account, or of two people; their first visit, and how to begin anew.
import { effect, signal, type Signal } from '@preact/signals'
import { ownAccount } from './account'
import { Phone } from './phone'
import { Sharing } from './sharing'

const PREFIX = 'melon-demo'
const STARTED = `${PREFIX}-has-started`
const PEOPLE = `${PREFIX}-has-people`
const FIRST_TASKS = ['Milk', 'Bread', 'Apples']

/** `b` is of the same account as `a`; `other` is another person's, in its place while there are
 * people. It has a database of its own: nothing of one is ever in the other's. */
export type Pair = {
  a: Phone
  b: Phone
  other: Phone
  sharing: Sharing
  arePeople: Signal<boolean>
}

/** The phones, with what they held before a reload; at the first visit with a list to look at. */
export function openPair(): Pair {
  const account = ownAccount()
  const a = new Phone('Phone A', `${PREFIX}-a`, account)
  const b = new Phone('Phone B', `${PREFIX}-b`, account)
  const other = new Phone('Phone B', `${PREFIX}-other`, ownAccount('-other'))
  const arePeople = signal(localStorage.getItem(PEOPLE) !== null)
  effect(() => {
    if (arePeople.value) localStorage.setItem(PEOPLE, 'yes')
    else localStorage.removeItem(PEOPLE)
  })
  const isFirst = localStorage.getItem(STARTED) === null
  const ready = isFirst ? begin(a, b).catch(a.complain) : Promise.resolve()
  void ready.then(() => show(a, b, other, arePeople))
  return { a, b, other, sharing: new Sharing(a, other), arePeople }
}

/** Who is on the page listens; from now on, so that the first list is one. */
function show(a: Phone, b: Phone, other: Phone, arePeople: Signal<boolean>): void {
  a.isShown.value = true
  effect(() => {
    b.isShown.value = !arePeople.value
    other.isShown.value = arePeople.value
  })
}

/** One phone makes the list, the other gets it: two lists of the same name would be two. */
async function begin(a: Phone, b: Phone): Promise<void> {
  if (!(await a.store.hasList())) await a.store.createList('Groceries', FIRST_TASKS)
  localStorage.setItem(STARTED, 'yes')
  await a.sync()
  await b.sync()
}

/** Empty the phones and forget the accounts; what was not synced is gone. */
export async function startAfresh({ a, b, other }: Pair): Promise<void> {
  for (const phone of [a, b, other]) {
    phone.isLive.value = false
    await phone.store.empty()
  }
  const ours = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX))
  for (const key of ours) localStorage.removeItem(key)
  location.reload()
}
