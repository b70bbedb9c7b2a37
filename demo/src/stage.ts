// The two phones as a story sees them: what is on the page, found by what a visitor finds it by.
import { press, until, WentWrong, write } from './hands'

export type Side = 'Phone A' | 'Phone B'
const HEARS = '[data-live="stream"], [data-live="poll"]'
const SIDES: Side[] = ['Phone A', 'Phone B']
type Act =
  'online' | 'live' | 'lose' | 'sync' | 'new' | 'add' | 'title' | 'note' | 'done' | 'delete' | Tie
/** Of two people: what they do about the list. */
type Tie = 'invite' | 'join' | 'remove'

export class Stage {
  private id = '' // of the task that the story is about
  private size = 0 // of the list with it

  /** `stop` ends the story before its next move. */
  constructor(private readonly stop: AbortSignal) {}

  /** Both phones of one person, online and in step; with a task of this title, new or not. */
  async begin(title?: string): Promise<void> {
    await this.people(false)
    await this.ready(title)
  }

  /** The same, of two people of whom one has the list, and shares it with nobody. */
  async beginApart(title: string): Promise<void> {
    await this.people(true)
    if (find('remove')) await this.tie('Phone A', 'remove')
    if (find('join')) await this.tie('Phone B', 'join').then(() => this.tie('Phone A', 'remove'))
    await this.ready(title)
  }

  private async ready(title?: string): Promise<void> {
    for (const side of SIDES) {
      await this.turn(side, 'live', false)
      await this.turn(side, 'online', true)
      await this.turn(side, 'lose', false)
    }
    await this.sync('Phone A', 'Phone B', 'Phone A')
    if (title === undefined) return
    this.id = this.idOf('Phone A', title)
    if (this.id) return
    await this.add('Phone A', title)
    await this.sync('Phone A', 'Phone B')
  }

  /** A new task, which the story is about from now on. */
  async add(side: Side, title: string): Promise<void> {
    const before = ids(side)
    await write(part(side, 'new'), title, this.stop)
    await press(part(side, 'add'), this.stop)
    await this.until(() => ids(side).length > before.length, `“${title}” on ${side}`)
    this.id = ids(side).find((id) => !before.includes(id)) ?? ''
    this.size = ids(side).length
  }

  async sync(...sides: Side[]): Promise<void> {
    for (const side of sides) {
      await this.until(() => !isBusy(side), `the end of a sync of ${side}`)
      const before = syncs(side)
      await press(part(side, 'sync'), this.stop)
      await this.until(() => syncs(side) !== before, `the end of the sync of ${side}`)
    }
  }

  async turn(side: Side, act: 'online' | 'live' | 'lose', isOn: boolean): Promise<void> {
    const isThere = () => part(side, act).getAttribute('aria-checked') === String(isOn)
    if (!isThere()) await press(part(side, act), this.stop)
    await this.until(isThere, `the switch of ${side}`)
  }

  /** Whether Phone B is somebody else's. */
  async people(areTwo: boolean): Promise<void> {
    const button = document.querySelector<HTMLElement>('[data-act="people"]') as HTMLElement
    const isThere = () => button.getAttribute('aria-checked') === String(areTwo)
    if (!isThere()) await press(button, this.stop)
    await this.until(isThere, 'the switch of people')
  }

  /** Press it, and wait until it is done: then it is there no more. */
  async tie(side: Side, act: Tie): Promise<void> {
    await press(part(side, act), this.stop)
    await this.until(() => !find(act), `the end of ${act} on ${side}`)
    await this.until(() => !isBusy(side), `the end of a sync of ${side}`)
  }

  /** Throws WentWrong unless the phone hears of something, and syncs by itself. */
  async listens(side: Side): Promise<void> {
    await this.turn(side, 'live', true)
    const isThere = () => column(side).querySelector(HEARS) !== null
    await this.until(isThere, `a live process for ${side}`)
  }

  async gets(side: Side): Promise<void> {
    await this.until(() => ids(side).includes(this.id), `the task on ${side}`)
  }

  /** Throws WentWrong unless the list is gone from this phone, and it says why. */
  expectGone(side: Side): void {
    if (ids(side).length) throw new WentWrong(`${side} has the list still.`)
    const said = column(side).querySelector('.notice')?.textContent ?? ''
    if (!said.includes('no longer shared with this phone')) throw new WentWrong(`${side} says: ${said}`)
  }

  /** Throws WentWrong unless this phone shows the story's task so. */
  expectOn(side: Side, wanted: { title: string; note: string; isDone: boolean }): void {
    const shown = {
      title: this.own(side, 'title').value,
      note: this.own(side, 'note').value,
      isDone: this.own(side, 'done').checked,
    }
    if (JSON.stringify(shown) !== JSON.stringify(wanted))
      throw new WentWrong(`${side} shows ${JSON.stringify(shown)}.`)
  }

  async change(side: Side, act: 'title' | 'note', text: string): Promise<void> {
    const field = this.own(side, act)
    await write(field, text, this.stop)
    field.blur()
    await this.until(() => field.value === text && this.isUnsynced(side), `“${text}” on ${side}`)
  }

  async tick(side: Side): Promise<void> {
    const box = this.own(side, 'done')
    if (!box.checked) await press(box, this.stop)
    await this.until(() => box.checked && this.isUnsynced(side), `the tick on ${side}`)
  }

  async remove(side: Side): Promise<void> {
    await press(this.own(side, 'delete'), this.stop)
    await this.until(() => !ids(side).includes(this.id), `the deletion on ${side}`)
  }

  /** Throws WentWrong unless both phones show the story's task so; null: neither has it. */
  expect(wanted: { title: string; note?: string; isDone?: boolean } | null): void {
    for (const side of SIDES) {
      const isThere = ids(side).includes(this.id)
      const title = isThere ? this.own(side, 'title').value : null
      if (title !== (wanted?.title ?? null)) throw new WentWrong(`${side} shows ${title}.`)
      if (wanted?.note !== undefined && this.own(side, 'note').value !== wanted.note)
        throw new WentWrong(`The note on ${side} is wrong.`)
      if (wanted?.isDone !== undefined && this.own(side, 'done').checked !== wanted.isDone)
        throw new WentWrong(`The tick on ${side} is wrong.`)
    }
    if (ids('Phone A').join() !== ids('Phone B').join()) throw new WentWrong('The phones differ.')
  }

  /** The same, of a task that was added: nothing else came with it. */
  expectOnce(title: string): void {
    this.expect({ title })
    const isMore = SIDES.some((side) => ids(side).length !== this.size)
    if (isMore) throw new WentWrong('There is more than was added.')
  }

  /** Throws WentWrong unless the story's task says why the server did not take it. */
  expectRefusal(side: Side): void {
    if (!this.row(side).querySelector('.refusal') || !this.isUnsynced(side))
      throw new WentWrong('The server took it: app/rules.py has no such rule any more.')
  }

  /** Whether the next answer is still to be lost. */
  isLosing = (side: Side): boolean => part(side, 'lose').getAttribute('aria-checked') === 'true'

  private until = (isThere: () => boolean, what: string) => until(isThere, what, this.stop)

  /** A task as the story wants to find it: of this title, not ticked, without a note; '' for none. */
  private idOf(side: Side, title: string): string {
    const isFresh = (row: HTMLElement) =>
      part(side, 'title', row).value === title &&
      part(side, 'note', row).value === '' &&
      !part(side, 'done', row).checked
    return rows(side).find(isFresh)?.dataset.id ?? ''
  }

  private isUnsynced = (side: Side) => this.row(side).querySelector('.dot.on') !== null

  private own = (side: Side, act: Act) => part(side, act, this.row(side))

  private row(side: Side): HTMLElement {
    const found = column(side).querySelector<HTMLElement>(`[data-id="${this.id}"]`)
    if (!found) throw new WentWrong(`The task is not on ${side}.`)
    return found
  }
}

function column(side: Side): HTMLElement {
  return document.querySelector<HTMLElement>(`section[aria-label="${side}"]`) as HTMLElement
}

const find = (act: Tie) => document.querySelector(`[data-act="${act}"]`)

function part(side: Side, act: Act, within = column(side)): HTMLInputElement {
  const found = within.querySelector<HTMLInputElement>(`[data-act="${act}"]`)
  if (!found) throw new WentWrong(`There is no ${act} on ${side}.`)
  return found
}

const phone = (side: Side) => column(side).querySelector<HTMLElement>('.phone')
const isBusy = (side: Side) => phone(side)?.ariaBusy === 'true'
/** How many of its syncs have ended. */
const syncs = (side: Side) => phone(side)?.dataset.syncs

const rows = (side: Side) => [...column(side).querySelectorAll<HTMLElement>('[data-id]')]
const ids = (side: Side) => rows(side).map((row) => row.dataset.id ?? '')
